package app

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"text/tabwriter"
	"time"

	"quancun/app/identity"
	"quancun/upstream/client"
)

// openIdentity returns which terminal this machine is, with its keys. A terminal
// whose key the upstream once made gets its own now, and uses them from its
// first renewal on.
func openIdentity(c *Config) (*client.Provisioning, client.Keys, error) {
	p, k, err := readIdentity(c)
	if err == nil && p.ServerMade {
		k, err = identity.Make(c.Keys.identity())
	}
	return p, k, err
}

// readIdentity is openIdentity for who only looks: it makes nothing. The keys
// of a terminal that does not use its own yet are empty.
func readIdentity(c *Config) (*client.Provisioning, client.Keys, error) {
	p, err := client.ReadProvisioning(c.Terminal)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, client.Keys{}, fmt.Errorf("this machine is not a terminal yet (there is no %s):\n"+
			"  at the upstream   campusd terminal add ID --address HOST:PORT   prints a code\n"+
			"  here              quancun enrol --code CODE                     uses it", c.Terminal)
	}
	if err != nil || p.ServerMade {
		return p, client.Keys{}, err
	}
	k, err := identity.Open(c.Keys.identity())
	if err == nil {
		err = p.Use(k.TLS)
	}
	if c := p.JournalCertificate; err == nil && c.Terminal != "" && !c.Key.Equal(k.Journal.Public()) {
		err = fmt.Errorf("the journal's certificate of terminal %s is not for this machine's key", p.Terminal)
	}
	return p, k, err
}

// Tries of an enrolment whose answer does not come.
const (
	enrolTries = 5
	enrolPause = 2 * time.Second
)

// enrol makes this machine the terminal that a code is for. It may be
// interrupted at any point and run again with the same code.
func enrol(args []string, out io.Writer) error {
	f := flag.NewFlagSet("enrol", flag.ContinueOnError)
	config := f.String("config", DefaultConfig, "terminal's configuration")
	code := f.String("code", "", `what "campusd terminal add" has printed; "-" reads it from the keyboard`)
	if err := f.Parse(args); err != nil {
		return usageError(err)
	}
	c, err := ReadConfig(*config)
	if err != nil {
		return err
	}
	if *code == "-" {
		fmt.Fprintln(out, "code:")
		if *code, err = bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
			return err
		}
	}
	t, err := client.ParseTicket(*code)
	if err != nil {
		return err
	}
	if err := mayEnrol(c, t); err != nil {
		return err
	}
	k, err := identity.Make(c.Keys.identity())
	if err != nil {
		return err
	}
	papers, err := insist(t, k, out)
	if err != nil {
		return err
	}
	if _, err := os.Stat(c.Terminal); errors.Is(err, fs.ErrNotExist) {
		if err := removeIfThere(c.begun()); err != nil { // it is of a terminal before
			return err
		}
	}
	if err := papers.Save(c.Terminal); err != nil {
		return err
	}
	return printIdentity(c, out)
}

// mayEnrol refuses what would leave a terminal behind that is not done with, or
// files that the terminal can not read.
func mayEnrol(c *Config, t client.Ticket) error {
	p, err := client.ReadProvisioning(c.Terminal)
	if err == nil && p.Terminal != t.Terminal {
		return fmt.Errorf("this machine is terminal %s: quancun retire ends that, and then it can be %s",
			p.Terminal, t.Terminal)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, path := range []string{c.Terminal, c.Keys.File} {
		dir := filepath.Dir(path)
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		if s, ok := info.Sys().(*syscall.Stat_t); ok && int(s.Uid) != os.Geteuid() {
			return fmt.Errorf("%s is not yours: run this as the terminal's user, such as sudo -u quancun", dir)
		}
	}
	return nil
}

// insist asks until there is an answer: the same keys get the same one.
func insist(t client.Ticket, k client.Keys, out io.Writer) (f client.File, err error) {
	for try := range enrolTries {
		if try > 0 {
			fmt.Fprintf(out, "no answer (%v): trying again\n", err)
			time.Sleep(enrolPause << (try - 1))
		}
		f, err = client.Enrol(context.Background(), t, k, client.Options{})
		if no := (*client.EnrolRefusal)(nil); errors.As(err, &no) {
			return f, fmt.Errorf("%w: %s", err, adviceOf[no.Reason])
		}
		if err == nil || errors.Is(err, client.ErrNotUpstream) {
			return f, err
		}
	}
	return f, fmt.Errorf("nobody knows whether the code was used: run this again with the same code: %w", err)
}

// adviceOf says what to do about a refusal.
var adviceOf = map[client.EnrolReason]string{
	client.EnrolMalformed:       "the upstream is of another version",
	client.EnrolCodeUnknown:     "was the code mistyped?",
	client.EnrolCodeOver:        "make a new code: campusd terminal reset ID",
	client.EnrolCodeSpent:       "another machine has used it, or this one some time ago: campusd terminal reset ID",
	client.EnrolTerminalUnknown: "campusd terminal list says which terminals there are",
	client.EnrolJournalKey:      "the code is for the machine that keeps this terminal's journal",
}

// showIdentity prints which terminal this machine is. Nothing in it is secret.
func showIdentity(args []string, out io.Writer) error {
	f := flag.NewFlagSet("identity", flag.ContinueOnError)
	config := f.String("config", DefaultConfig, "terminal's configuration")
	if err := f.Parse(args); err != nil {
		return usageError(err)
	}
	c, err := ReadConfig(*config)
	if err != nil {
		return err
	}
	return printIdentity(c, out)
}

func printIdentity(c *Config, out io.Writer) error {
	p, k, err := readIdentity(c)
	if err != nil {
		return err
	}
	where := "file " + c.Keys.File
	if c.Keys.TPM != "" {
		where = "TPM " + c.Keys.TPM
	}
	if p.ServerMade {
		where = "made by the upstream, until the first renewal"
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "terminal\t%s, number %s\n", p.Terminal, p.TerminalNo)
	fmt.Fprintf(w, "upstream\t%s\n", p.Address)
	fmt.Fprintf(w, "keys\t%s\n", where)
	fmt.Fprintf(w, "certificate\t%x\n", sha256.Sum256(p.Certificate.Leaf.Raw))
	fmt.Fprintf(w, "certificate until\t%s\n", p.Expires().Format(time.RFC3339))
	if k.Journal != nil {
		fmt.Fprintf(w, "journal public key\t%x\n", k.Journal.Public())
	}
	fmt.Fprintf(w, "campus public key\t%x\n", []byte(p.CampusKey))
	return w.Flush()
}
