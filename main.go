// Command quancun is the terminal: a self-service machine that tops up campus
// cards. See README.md.
package main

import "quancun/app"

func main() { app.Main() }
