package till

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"quancun/beijing"
	"quancun/kiosk/barcode"
	"quancun/kiosk/tender"
	"quancun/money"
)

// Plan is what a till sells: the school writes it down, and nobody changes it
// while the till runs.
type Plan struct {
	Merchant string // account of the upstream that is credited
	Place    string // as screen and receipts call the till
	Products []Product
	Meals    []Meal

	// Operator sells where nobody signs in; see [Desk.Staff].
	Operator Operator
}

// Product is a key of the till, and what its code is scanned for.
type Product struct {
	Name    string
	Price   money.Fen
	Barcode barcode.Code // "": it has none
}

// Meal is a time of the day in which everybody pays the same (定额模式).
type Meal struct {
	Name     string
	From, To Minute // of the day, in Beijing; To is not part of it
	Price    money.Fen
}

// Input is the press of the product's key.
func (p Product) Input() Input {
	return Input{Event: Priced, Amount: p.Price, Items: []tender.Item{{Name: p.Name, Count: 1, Price: p.Price}}}
}

// Input prices a sale as one of the meal.
func (m Meal) Input() Input { return Product{Name: m.Name, Price: m.Price}.Input() }

// find returns the product whose code a text is.
func (p Plan) find(text string) (Product, bool) {
	code, err := barcode.Parse(text)
	if err != nil {
		return Product{}, false
	}
	i := slices.IndexFunc(p.Products, func(x Product) bool { return x.Barcode == code })
	if i < 0 {
		return Product{}, false
	}
	return p.Products[i], true
}

// Minute is a minute of the day.
type Minute int

// ParseMinute reads a time of day such as "11:30".
func ParseMinute(s string) (Minute, error) {
	at, err := time.Parse("15:04", s)
	if err != nil {
		return 0, fmt.Errorf("till: %q is not a time of day such as 11:30", s)
	}
	return Minute(at.Hour()*60 + at.Minute()), nil
}

// saleMax keeps a slip of the finger from being a sale: ten times the price of
// the dearest meal, and less than any purse may hold.
const saleMax = 999 * money.Yuan

// Check returns an error if p cannot be sold by.
func (p Plan) Check() error {
	var errs []error
	if p.Merchant == "" {
		errs = append(errs, errors.New("till: name the merchant"))
	}
	coded := map[barcode.Code]string{}
	for _, x := range p.Products {
		if x.Name == "" || x.Price <= 0 || x.Price > saleMax {
			errs = append(errs, fmt.Errorf("till: product %q for %s is none", x.Name, x.Price))
		}
		if other, taken := coded[x.Barcode]; taken && x.Barcode != "" {
			errs = append(errs, fmt.Errorf("till: products %q and %q have one barcode", other, x.Name))
		}
		coded[x.Barcode] = x.Name
	}
	for _, m := range p.Meals {
		if m.Name == "" || m.Price <= 0 || m.Price > saleMax || m.From >= m.To {
			errs = append(errs, fmt.Errorf("till: meal %q for %s is none", m.Name, m.Price))
		}
	}
	return errors.Join(errs...)
}

// Now returns the meal that is served, or one without a price.
func (p Plan) Now(at time.Time) Meal {
	at = at.In(beijing.Zone)
	minute := Minute(at.Hour()*60 + at.Minute())
	for _, m := range p.Meals {
		if m.From <= minute && minute < m.To {
			return m
		}
	}
	return Meal{}
}
