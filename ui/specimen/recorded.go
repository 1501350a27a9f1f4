package specimen

import (
	"quancun/kiosk"
	"quancun/kiosk/dialog"
	"quancun/kiosk/service/tape"
)

// recorded returns what the campus services show, in their own words.
func recorded() (all []View) {
	for _, shot := range tape.Shots() {
		v := kiosk.View{Step: stepOf(shot.View), Service: kiosk.OtherService, Chosen: shot.Chosen, Dialog: shot.View,
			Fault: shot.Code}
		if shot.SignIn {
			v.Holder = holder
		}
		made := view("32-"+shot.Name, v)
		made.Recorded = true
		all = append(all, made)
	}
	return all
}

// stepOf is the step at which the kiosk shows a page of a service.
func stepOf(v dialog.View) kiosk.Step {
	switch {
	case v.Page == dialog.Ended:
		return kiosk.Served
	case v.Busy():
		return kiosk.AtWork
	}
	return kiosk.Serving
}
