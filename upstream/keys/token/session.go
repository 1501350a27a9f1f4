package token

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	"github.com/miekg/pkcs11"

	"quancun/pboc"
	"quancun/upstream/keys"
)

// sessionsMax is how many operations are under way in the token at once. The
// others wait; one takes a millisecond or so.
const sessionsMax = 8

// pool are the sessions with a token. A session does one thing at a time
// (section 5.2), so each caller has one to itself.
type pool struct {
	ctx  *pkcs11.Ctx
	slot uint
	pin  string
	ours bool          // the library was initialized here and not before
	idle chan *session // holds sessionsMax; nil is one that is not open

	mu   sync.Mutex
	shut error // why nobody may log in any more; guarded by mu
}

// session is an open session with the handles of our keys, which are good for
// as long as it is.
type session struct {
	*pool
	handle pkcs11.SessionHandle
	keys   map[string]pkcs11.ObjectHandle // secret and private keys by label
	public map[string]pkcs11.ObjectHandle
}

func newPool(c Config) (*pool, error) {
	pin, err := readPIN(c.PINFile)
	if err != nil {
		return nil, err
	}
	ctx := pkcs11.New(c.Module)
	if ctx == nil {
		return nil, fmt.Errorf("%s is not a PKCS #11 library", c.Module)
	}
	p := &pool{ctx: ctx, slot: c.Slot, pin: pin, ours: true, idle: make(chan *session, sessionsMax)}
	err = ctx.Initialize()
	if errors.Is(err, pkcs11.Error(pkcs11.CKR_CRYPTOKI_ALREADY_INITIALIZED)) {
		p.ours, err = false, nil
	}
	if err != nil {
		ctx.Destroy()
		return nil, err
	}
	for range sessionsMax {
		p.idle <- nil
	}
	return p, nil
}

func readPIN(path string) (string, error) {
	text, err := keys.ReadSecret(path)
	if err != nil {
		return "", fmt.Errorf("read PIN: %w", err)
	}
	pin := string(bytes.TrimRight(text, "\r\n"))
	if pin == "" {
		return "", fmt.Errorf("read PIN: %s is empty", path)
	}
	return pin, nil
}

// Close ends all sessions. Nobody may be in an operation any more.
func (p *pool) Close() error {
	for range sessionsMax {
		(<-p.idle).close()
	}
	if !p.ours {
		return nil
	}
	defer p.ctx.Destroy()
	return p.ctx.Finalize()
}

// with gives do a session. If that fails, do is called once more, in a new one:
// a token that was away in between (a restarted appliance, a cable) has
// forgotten its sessions and log-ins. All that is done in sessions can be done
// twice.
func (p *pool) with(ctx context.Context, do func(*session) error) error {
	err := p.once(ctx, false, do)
	if err != nil && ctx.Err() == nil {
		err = p.once(ctx, true, do)
	}
	return err
}

// once gives do a session, if need be a fresh one. One in which something
// failed is not used again.
func (p *pool) once(ctx context.Context, fresh bool, do func(*session) error) (err error) {
	var n *session
	select {
	case n = <-p.idle:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() {
		if err != nil {
			n = n.close()
		}
		p.idle <- n
	}()
	if fresh {
		n = n.close()
	}
	if n == nil {
		if n, err = p.open(); err != nil {
			return err
		}
	}
	return do(n)
}

// close returns nil. The token may have closed the session already.
func (n *session) close() *session {
	if n != nil {
		_ = n.ctx.CloseSession(n.handle)
	}
	return nil
}

// open opens a session, logs in if need be, and finds the keys.
func (p *pool) open() (_ *session, err error) {
	n, err := p.login(pkcs11.CKF_SERIAL_SESSION)
	if err != nil {
		return nil, err
	}
	if err := n.find(); err != nil {
		return n.close(), err
	}
	return n, nil
}

// ErrPIN means that the token has not taken the PIN. Whoever tries again by himself
// locks it.
var ErrPIN = errors.New("the token does not take the PIN")

// login opens a session that may see private objects. After a wrong PIN nobody
// tries again: a few more tries would lock the token.
func (p *pool) login(flags uint) (*session, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shut != nil {
		return nil, p.shut
	}
	h, err := p.ctx.OpenSession(p.slot, flags)
	if err != nil {
		return nil, fmt.Errorf("open session in slot %d: %w", p.slot, err)
	}
	err = p.ctx.Login(h, pkcs11.CKU_USER, p.pin)
	if err == nil || errors.Is(err, pkcs11.Error(pkcs11.CKR_USER_ALREADY_LOGGED_IN)) {
		return &session{pool: p, handle: h}, nil
	}
	err = fmt.Errorf("log in to slot %d: %w", p.slot, err)
	for _, wrong := range []uint{pkcs11.CKR_PIN_INCORRECT, pkcs11.CKR_PIN_LEN_RANGE, pkcs11.CKR_PIN_LOCKED} {
		if errors.Is(err, pkcs11.Error(wrong)) {
			err = fmt.Errorf("%w: %w", ErrPIN, err)
			p.shut = err
			break
		}
	}
	return nil, errors.Join(err, p.ctx.CloseSession(h))
}

// derive makes a two-key DES3 key, for this session only, of the encryption of
// two blocks under key (CKM_DES3_ECB_ENCRYPT_DATA, section 6.14).
func (n *session) derive(key pkcs11.ObjectHandle, blocks []byte) (pkcs11.ObjectHandle, error) {
	// CK_KEY_DERIVATION_STRING_DATA points to the data. The binding has no
	// type for it, so it is laid out here, and the data held in its place.
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&blocks[0])
	data := struct {
		data   *byte
		length uintptr // CK_ULONG
	}{&blocks[0], uintptr(len(blocks))}
	parameter := unsafe.Slice((*byte)(unsafe.Pointer(&data)), unsafe.Sizeof(data))
	m := pkcs11.NewMechanism(pkcs11.CKM_DES3_ECB_ENCRYPT_DATA, bytes.Clone(parameter))
	h, err := n.ctx.DeriveKey(n.handle, []*pkcs11.Mechanism{m}, key, append([]*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, false),
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY),
		pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_DES2),
		pkcs11.NewAttribute(pkcs11.CKA_ENCRYPT, true),
		pkcs11.NewAttribute(pkcs11.CKA_DERIVE, true),
	}, secret...))
	if err != nil {
		return 0, fmt.Errorf("derive: %w", err)
	}
	return h, nil
}

// destroy ends a key that was derived for this session.
func (n *session) destroy(h pkcs11.ObjectHandle) {
	_ = n.ctx.DestroyObject(n.handle, h) // it ends with the session at the latest
}

// diversify computes one key of a card, which leaves the token.
func (n *session) diversify(label string, f keys.Factor, key *pboc.Key) error {
	blocks := pboc.DiversifyBlocks(f)
	out, err := n.encrypt(pkcs11.NewMechanism(pkcs11.CKM_DES3_ECB, nil), n.keys[label], blocks[:])
	copy(key[:], out)
	clear(out)
	return err
}

// encrypt returns as many bytes as data has, which are whole blocks.
func (n *session) encrypt(m *pkcs11.Mechanism, key pkcs11.ObjectHandle, data []byte) ([]byte, error) {
	if err := n.ctx.EncryptInit(n.handle, []*pkcs11.Mechanism{m}, key); err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	out, err := n.ctx.Encrypt(n.handle, data)
	if err == nil && len(out) != len(data) {
		err = fmt.Errorf("%d bytes of %d", len(out), len(data))
	}
	if err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	return out, nil
}

func (n *session) sign(mechanism uint, key pkcs11.ObjectHandle, message []byte) ([]byte, error) {
	m := []*pkcs11.Mechanism{pkcs11.NewMechanism(mechanism, nil)}
	if err := n.ctx.SignInit(n.handle, m, key); err != nil {
		return nil, err
	}
	return n.ctx.Sign(n.handle, message)
}
