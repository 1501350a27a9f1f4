package journal

import (
	"crypto"
	"crypto/ed25519"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"time"

	"quancun/money"
)

// Receipt is what a receipt's QR code proves with no network: that this
// terminal, certified by the campus, has this entry in its journal.
type Receipt struct {
	Position
	At      time.Time
	Kind    Kind
	Outcome Outcome
	Amount  money.Fen
	Ref     string
	Hash    Hash // of the entry, which the journal and upstream can be asked for

	Certificate Certificate
	Signature   [ed25519.SignatureSize]byte
}

const (
	receiptContext = "quancun receipt v1\n"

	// ReceiptPrefix begins every code, so that a scanner knows what it is.
	ReceiptPrefix = "QCR1:"
)

// receiptText has only letters and digits that a QR code packs tightly.
var receiptText = base32.StdEncoding.WithPadding(base32.NoPadding)

// NewReceipt signs for an entry of the journal whose hash is h with the
// terminal's journal key, to which c belongs.
func NewReceipt(e Entry, h Hash, c Certificate, key crypto.Signer) (Receipt, error) {
	r := Receipt{
		Position: e.Position(), At: e.At, Kind: e.Kind, Outcome: e.Outcome,
		Amount: e.Amount, Ref: e.Ref, Hash: h, Certificate: c,
	}
	if c.Terminal != e.Terminal {
		return Receipt{}, fmt.Errorf("sign receipt: %w: certificate of terminal %s", ErrUnsigned, c.Terminal)
	}
	sig, err := key.Sign(nil, r.message(), crypto.Hash(0))
	if err != nil {
		return Receipt{}, fmt.Errorf("sign receipt: %w", err)
	}
	copy(r.Signature[:], sig)
	if !ed25519.Verify(c.Key, r.message(), r.Signature[:]) {
		return Receipt{}, fmt.Errorf("sign receipt: %w: the key is not the certificate's", ErrUnsigned)
	}
	return r, nil
}

// Text returns the code, in the alphabet that QR codes pack most tightly.
func (r Receipt) Text() string {
	b := append(r.body(), r.Certificate.Bytes()...)
	return ReceiptPrefix + receiptText.EncodeToString(append(b, r.Signature[:]...))
}

// OpenReceipt reads what a phone has scanned, which may begin with words, and
// checks the code in it against the campus's public key. Nobody has signed the
// words. It returns [ErrMalformed] for what is no receipt, and [ErrUnsigned] for
// one that the campus does not stand for.
func OpenReceipt(text string, campus ed25519.PublicKey) (Receipt, error) {
	_, code, ok := strings.Cut(strings.TrimSpace(text), ReceiptPrefix)
	b, err := receiptText.DecodeString(code)
	if !ok || err != nil || receiptText.EncodeToString(b) != code {
		return Receipt{}, fmt.Errorf("%w: receipt", ErrMalformed)
	}
	rd := reader{s: b}
	r := rd.receipt()
	if !rd.whole() {
		return Receipt{}, fmt.Errorf("%w: receipt", ErrMalformed)
	}
	if err := r.Certificate.Verify(campus); err != nil {
		return Receipt{}, err
	}
	if r.Certificate.Terminal != r.Terminal || !ed25519.Verify(r.Certificate.Key, r.message(), r.Signature[:]) {
		return Receipt{}, fmt.Errorf("%w: receipt", ErrUnsigned)
	}
	return r, nil
}

func (r Receipt) message() []byte { return append([]byte(receiptContext), r.body()...) }

func (r Receipt) body() []byte {
	b := append(appendText(nil, r.Terminal), r.Epoch[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Seq))
	b = binary.BigEndian.AppendUint64(b, uint64(r.At.UnixMilli()))
	b = binary.BigEndian.AppendUint16(b, uint16(r.Kind))
	b = append(b, uint8(r.Outcome))
	b = binary.BigEndian.AppendUint64(b, uint64(r.Amount))
	return append(appendText(b, r.Ref), r.Hash[:]...)
}

func (r *reader) receipt() (out Receipt) {
	out.Terminal = r.text()
	r.fill(out.Epoch[:])
	out.Seq = int64(r.uint(8))
	out.At = time.UnixMilli(int64(r.uint(8))).UTC()
	out.Kind = Kind(r.uint(2))
	out.Outcome = Outcome(r.uint(1))
	out.Amount = money.Fen(r.uint(8))
	out.Ref = r.text()
	r.fill(out.Hash[:])
	out.Certificate = r.certificate()
	r.fill(out.Signature[:])
	r.bad = r.bad || out.Seq <= 0 || !inRange(out.At)
	return out
}

// Copy is a receipt that the campus makes again out of its books, for somebody
// whose own is gone. It proves with no network that the books have this entry. It
// is of the campus's own word; the terminal's is its [Receipt].
type Copy struct {
	No      string // of the entry in the books
	Account string // masked
	At      time.Time
	Made    time.Time // when this copy was made
	What    string    // such as "purchase"
	Amount  money.Fen // by which the account moved: below zero was paid
	Place   string
	Ref     string

	// Source is the entry of a terminal's journal that said so, and Hash that one's;
	// both zero for what the campus has booked by itself.
	Source Position
	Hash   Hash

	Signature [ed25519.SignatureSize]byte
}

const (
	copyContext = "quancun receipt copy v1\n"

	// CopyPrefix begins the code of every copy.
	CopyPrefix = "QCC1:"
)

// Sign signs c with the campus's key. What it says is printable ASCII.
func (c *Copy) Sign(campus crypto.Signer) error {
	for _, text := range []string{c.No, c.Account, c.What, c.Place, c.Ref, c.Source.Terminal} {
		if text != "" && !isText(text) || len(text) > math.MaxUint8 {
			return fmt.Errorf("sign copy: %w: text", ErrMalformed)
		}
	}
	sig, err := campus.Sign(nil, c.message(), crypto.Hash(0))
	if err != nil {
		return fmt.Errorf("sign copy: %w", err)
	}
	if copy(c.Signature[:], sig) != len(sig) || len(sig) != len(c.Signature) {
		return fmt.Errorf("sign copy: %w: not an Ed25519 signature", ErrMalformed)
	}
	return nil
}

// Text returns the code, as [Receipt.Text] does.
func (c Copy) Text() string {
	return CopyPrefix + receiptText.EncodeToString(append(c.body(), c.Signature[:]...))
}

// OpenCopy reads the code of a copy, as [OpenReceipt] does that of a receipt.
func OpenCopy(text string, campus ed25519.PublicKey) (Copy, error) {
	_, code, ok := strings.Cut(strings.TrimSpace(text), CopyPrefix)
	b, err := receiptText.DecodeString(code)
	if !ok || err != nil || receiptText.EncodeToString(b) != code {
		return Copy{}, fmt.Errorf("%w: copy", ErrMalformed)
	}
	rd := reader{s: b}
	c := rd.copy()
	if !rd.whole() {
		return Copy{}, fmt.Errorf("%w: copy", ErrMalformed)
	}
	if len(campus) != ed25519.PublicKeySize || !ed25519.Verify(campus, c.message(), c.Signature[:]) {
		return Copy{}, fmt.Errorf("%w: copy", ErrUnsigned)
	}
	return c, nil
}

func (c Copy) message() []byte { return append([]byte(copyContext), c.body()...) }

func (c Copy) body() []byte {
	var b []byte
	for _, text := range []string{c.No, c.Account, c.What, c.Place, c.Ref, c.Source.Terminal} {
		b = appendText(b, text)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(c.At.UnixMilli()))
	b = binary.BigEndian.AppendUint64(b, uint64(c.Made.UnixMilli()))
	b = binary.BigEndian.AppendUint64(b, uint64(c.Amount))
	if c.Source.Terminal != "" {
		b = append(b, c.Source.Epoch[:]...)
		b = binary.BigEndian.AppendUint64(b, uint64(c.Source.Seq))
		b = append(b, c.Hash[:]...)
	}
	return b
}

func (r *reader) copy() (c Copy) {
	for _, text := range []*string{&c.No, &c.Account, &c.What, &c.Place, &c.Ref, &c.Source.Terminal} {
		*text = r.text()
	}
	c.At = time.UnixMilli(int64(r.uint(8))).UTC()
	c.Made = time.UnixMilli(int64(r.uint(8))).UTC()
	c.Amount = money.Fen(r.uint(8))
	if c.Source.Terminal != "" {
		r.fill(c.Source.Epoch[:])
		c.Source.Seq = int64(r.uint(8))
		r.fill(c.Hash[:])
		r.bad = r.bad || c.Source.Seq <= 0
	}
	r.fill(c.Signature[:])
	r.bad = r.bad || !inRange(c.At) || !inRange(c.Made)
	return c
}
