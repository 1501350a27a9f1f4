package tray

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"quancun/money"
)

// Card is a card of the lab.
type Card struct {
	Card   string    `json:"card"`      // its name in the lab's calls
	Name   string    `json:"name"`      // whose it is, for people
	Note   string    `json:"note"`      // what is special about it: lost, expired
	Masked string    `json:"masked"`    // the end of its number
	Purse  money.Fen `json:"purse_fen"` // on it now
	Laid   bool      `json:"laid"`      // it lies on the reader
}

// When says on which side of a write a card is torn off.
type When string

// The sides.
const (
	Before When = "before" // the card never sees the write
	After  When = "after"  // the card has done it, and the answer is lost
)

// answerMax is how long the lab may take: it is on this machine.
const answerMax = 3 * time.Second

// Lab is the control API of the lab's cards.
type Lab struct {
	URL    string
	Client http.Client
}

// NewLab returns the lab at url, such as http://127.0.0.1:7080.
func NewLab(url string) *Lab {
	return &Lab{URL: strings.TrimRight(url, "/"), Client: http.Client{Timeout: answerMax}}
}

// Cards lists the lab's cards.
func (l *Lab) Cards(ctx context.Context) ([]Card, error) {
	var cards []Card
	err := l.call(ctx, http.MethodGet, "/cards", nil, &cards)
	return cards, err
}

// Lay lays a card on the reader, in place of one that lies there.
func (l *Lab) Lay(ctx context.Context, card string) error {
	return l.call(ctx, http.MethodPost, "/cards/lay", map[string]string{"card": card}, nil)
}

// Take takes the card away.
func (l *Lab) Take(ctx context.Context) error {
	return l.call(ctx, http.MethodPost, "/cards/take", map[string]string{}, nil)
}

// Tear has the card torn off at its next CREDIT FOR LOAD.
func (l *Lab) Tear(ctx context.Context, when When) error {
	return l.call(ctx, http.MethodPost, "/cards/tear",
		map[string]string{"when": string(when), "command": "credit"}, nil)
}

func (l *Lab) call(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, l.URL+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := l.Client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("%s: %s", path, answer.Status)
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(answer.Body).Decode(out)
}
