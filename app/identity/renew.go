package identity

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"quancun/upstream/client"
)

// renewEvery is how often a terminal looks whether its certificate is good. A
// renewal is due for a month before it is needed.
const renewEvery = 10 * time.Minute

// Renewer keeps a running terminal's certificate good.
//
// It renews from two thirds of the certificate's life on, and a terminal of
// which the upstream once made the key at once, with the machine's own key. A
// terminal that was dark for too long, or whose clock is wrong, finds that the
// upstream does not take its certificate; then it renews, too. An upstream that
// was restored from a copy may know only the certificate before; with that the
// terminal comes back as well.
type Renewer struct {
	File   string               // the provisioning file, which each renewal replaces
	Papers *client.Provisioning // what File says, with its key; Run's own once it runs
	Keys   client.Keys          // this machine's
	Client *client.Client       // told of each new certificate

	// Adopted is told of new papers, if it is not nil.
	Adopted func(*client.Provisioning)

	Options client.Options
	Now     func() time.Time
	Every   time.Duration // between looks; ten minutes if zero
	Log     *slog.Logger
}

// Run renews until ctx ends, and returns ctx's error.
func (r *Renewer) Run(ctx context.Context) error {
	if r.Every == 0 {
		r.Every = renewEvery
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
		if err := r.look(ctx); err != nil && ctx.Err() == nil {
			r.Log.Warn("certificate not renewed", "err", err, "expires", r.Papers.Expires())
		}
		timer.Reset(r.Every)
	}
}

// look renews if there is a reason to.
func (r *Renewer) look(ctx context.Context) error {
	if !r.Papers.RenewalDue(r.Now()) {
		if _, err := r.Client.Ping(ctx); err == nil {
			return nil
		}
	}
	f, err := r.Papers.Renew(ctx, r.Keys, r.Options)
	no := (*client.EnrolRefusal)(nil)
	before := r.Papers.Restored()
	if errors.As(err, &no) && no.Reason == client.EnrolTerminalUnknown && before != nil {
		f, err = before.Renew(ctx, r.Keys, r.Options)
	}
	if err != nil {
		return err
	}
	return r.adopt(f)
}

// adopt writes the new papers down before anybody uses them: their first use
// ends the certificate before.
func (r *Renewer) adopt(f client.File) error {
	if err := f.Save(r.File); err != nil {
		return err
	}
	p, err := client.ReadProvisioning(r.File)
	if err == nil {
		err = p.Use(r.Keys.TLS)
	}
	if err != nil {
		return err
	}
	r.Papers = p
	r.Client.Adopt(p)
	if r.Adopted != nil {
		r.Adopted(p)
	}
	r.Log.Info("certificate renewed", "expires", p.Expires())
	return nil
}
