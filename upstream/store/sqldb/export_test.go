package sqldb

// WriteWithin is DB.Write with another limit of time.
var WriteWithin = (*DB).writeWithin
