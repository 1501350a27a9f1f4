package stack

import (
	"encoding/json"
	"fmt"
	"os"

	"quancun/money"
)

// Card is one of the demonstration's virtual cards, with what its holder
// knows.
type Card struct {
	CardNo   string    `json:"card_no"`
	UID      string    `json:"uid"`
	Name     string    `json:"name"`
	HolderNo string    `json:"holder_no"`
	PIN      string    `json:"pin"`
	Kind     string    `json:"kind"` // what is special about it, such as "to_load"
	Purse    money.Fen `json:"purse_fen"`
}

// Cards returns the demonstration's cards. They are there after the first
// start.
func (s *Stack) Cards() (cards []Card, err error) {
	text, err := os.ReadFile(s.File("cards.json"))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &cards); err != nil {
		return nil, fmt.Errorf("read cards: %w", err)
	}
	return cards, nil
}
