package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"

	"quancun/paycode"
	"quancun/upstream/wire"
	v1 "quancun/upstream/wire/quancun/v1"
	"quancun/upstream/wire/quancun/v1/quancunv1connect"
)

// PhoneReason says why a phone was refused. Numbers as on the wire.
type PhoneReason int

// The reasons.
const (
	PhoneMalformed   PhoneReason = 1
	PhoneClock       PhoneReason = 2 // the phone's clock is wrong
	PhoneCodeUnknown PhoneReason = 3
	PhoneCodeOver    PhoneReason = 4 // not used in time, or by another phone
	PhoneUnknown     PhoneReason = 5
	PhoneRevoked     PhoneReason = 6 // reported lost, or replaced by another
	PhoneAlgorithm   PhoneReason = 7 // the school has no key that signs so
)

// PhoneRefusal is the error of a phone's call that the upstream understood and
// refused: nothing was changed. Every other error is unknown, and the phone asks
// again.
type PhoneRefusal struct{ Reason PhoneReason }

// Error names the reason.
func (r *PhoneRefusal) Error() string {
	return "upstream refused: " + v1.PhoneReason(r.Reason).String()
}

// PhoneDoor is where phones ask, and by what they know that it is the upstream.
type PhoneDoor struct {
	Address string // host:port
	CA      wire.Fingerprint
	Now     func() time.Time // the phone's clock; time.Now if nil
}

// Bind makes the phone with this key the virtual card that the code is for, and
// returns what is signed for it: see [paycode.ParseGrant].
func (d PhoneDoor) Bind(ctx context.Context, code wire.Code, phone paycode.Signer, name string) ([]byte, error) {
	c, done := d.open()
	defer done()
	p, err := d.prove(phone, code.Text())
	if err != nil {
		return nil, fmt.Errorf("bind phone: %w", err)
	}
	ctx, cancel := within(ctx, slow)
	defer cancel()
	r, err := c.BindPhone(ctx, connect.NewRequest(&v1.BindPhoneRequest{Code: code.Text(), Proof: p, Name: name}))
	if err != nil {
		return nil, explainPhone("bind phone", err)
	}
	return acceptGrant(r.Msg.Grant, phone)
}

// Renew returns what is signed anew for a phone.
func (d PhoneDoor) Renew(ctx context.Context, phone paycode.Signer) ([]byte, error) {
	c, done := d.open()
	defer done()
	p, err := d.prove(phone, "")
	if err != nil {
		return nil, fmt.Errorf("renew phone: %w", err)
	}
	ctx, cancel := within(ctx, slow)
	defer cancel()
	r, err := c.RenewPhone(ctx, connect.NewRequest(&v1.RenewPhoneRequest{Proof: p}))
	if err != nil {
		return nil, explainPhone("renew phone", err)
	}
	return acceptGrant(r.Msg.Grant, phone)
}

func (d PhoneDoor) now() time.Time {
	if d.Now == nil {
		return time.Now()
	}
	return d.Now()
}

func (d PhoneDoor) open() (quancunv1connect.PhoneServiceClient, func()) {
	h, done := httpAtDoor(&tls.Config{
		MinVersion: tls.VersionTLS13,
		ServerName: wire.EnrolName,
		// It is verified all the same, by the CA that the ticket names.
		InsecureSkipVerify: true,
		VerifyConnection: func(cs tls.ConnectionState) error {
			_, err := verifyByFingerprint(cs, d.CA, d.now())
			return err
		},
	})
	return quancunv1connect.NewPhoneServiceClient(h, "https://"+d.Address, connect.WithReadMaxBytes(64<<10)), done
}

func (d PhoneDoor) prove(phone paycode.Signer, invitation string) (*v1.PhoneProof, error) {
	key := phone.Public()
	p := paycode.Proof{Device: key, At: d.now(), Invitation: invitation}
	sig, err := p.Sign(phone)
	return &v1.PhoneProof{
		Algorithm: uint32(key.Algorithm), PublicKey: key.Bytes, At: p.At.Unix(), Signature: sig[:],
	}, err
}

func acceptGrant(b []byte, phone paycode.Signer) ([]byte, error) {
	g, _, err := paycode.ParseGrant(b)
	if err == nil && !g.Device.Equal(phone.Public()) {
		err = errors.New("it is for another phone")
	}
	if err != nil {
		return nil, fmt.Errorf("answer to a phone: %w", err)
	}
	return b, nil
}

func explainPhone(call string, err error) error {
	var ce *connect.Error
	if errors.As(err, &ce) && connect.IsWireError(err) {
		for _, d := range ce.Details() {
			m, err := d.Value()
			r, ok := m.(*v1.PhoneRefusal)
			if err == nil && ok && r.Reason != v1.PhoneReason_PHONE_REASON_UNSPECIFIED {
				return &PhoneRefusal{PhoneReason(r.Reason)}
			}
		}
	}
	return fmt.Errorf("%s: %w", call, err)
}
