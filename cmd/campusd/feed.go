package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"quancun/kiosk/rules"
	"quancun/upstream/store"
	"quancun/upstream/wire"
)

// feedCommand shows what terminals are told, or tells them something else.
func feedCommand(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return errUsage
	}
	name, args := args[0], args[1:]
	switch name {
	case "list":
		return listFeeds(ctx, args, out)
	case "show":
		return showFeed(ctx, args, out)
	case "publish":
		return publishFeed(ctx, args, out)
	case "forward":
		return forwardFeed(ctx, args, out)
	}
	return errUsage
}

func listFeeds(ctx context.Context, args []string, out io.Writer) error {
	return onBooks(ctx, "feed list", args, 0, func(b *store.Books, _ []string) error {
		all, err := b.FeedStates(ctx)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "FEED\tVERSION\tSINCE\tSIZE\tLOST")
		for _, s := range all {
			unit, lost := "bytes", "-"
			if s.Name == store.FeedHotlist {
				unit = "cards"
			}
			if s.Lost > 0 {
				lost = fmt.Sprintf("up to version %d", s.Lost)
			}
			fmt.Fprintf(w, "%s\t%d\t%s\t%d %s\t%s\n", s.Name, s.Version, or(s.Changed, "-"), s.Size, unit, lost)
		}
		return w.Flush()
	})
}

// showFeed prints the contents of a feed as they were published, byte for byte.
func showFeed(ctx context.Context, args []string, out io.Writer) error {
	return onBooks(ctx, "feed show", args, 1, func(b *store.Books, name []string) error {
		version, content, err := contentOf(ctx, b, name[0])
		if err != nil {
			return err
		}
		if version == 0 {
			return fmt.Errorf("nothing of %s has been published", name[0])
		}
		_, err = out.Write(content)
		return err
	})
}

// contentOf returns the newest contents of a feed that has contents.
func contentOf(ctx context.Context, b *store.Books, name string) (version uint64, content []byte, err error) {
	if name == store.FeedHotlist {
		return 0, nil, errors.New("the hotlist follows the cards: see feed list")
	}
	version, content, err = b.Content(ctx, name)
	if errors.Is(err, store.ErrNone) {
		err = fmt.Errorf("no feed %q: there are %q", name, wire.FeedNames())
	}
	return version, content, err
}

// contentMax keeps what was taken for a feed's file by mistake, a backup for
// one, from being sent to every terminal.
const contentMax = 1 << 20

// publishFeed gives terminals new contents of a feed, under its next version.
func publishFeed(ctx context.Context, args []string, out io.Writer) error {
	f := flag.NewFlagSet("feed publish", flag.ContinueOnError)
	file := f.String("file", "", "the contents")
	return withFlags(ctx, f, args, 1, func(b *store.Books, name []string) error {
		if *file == "" {
			return fmt.Errorf("--file is missing\n%w", errUsage)
		}
		if name[0] == wire.FeedKeys {
			return errors.New("the keys follow the phones: see phone list")
		}
		version, now, err := contentOf(ctx, b, name[0])
		if err != nil {
			return err
		}
		content, err := readContent(name[0], *file)
		if err != nil {
			return err
		}
		if version > 0 && bytes.Equal(now, content) {
			_, err = fmt.Fprintf(out, "%s: version %d says this already\n", name[0], version)
			return err
		}
		if version, err = b.Publish(ctx, name[0], content); err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%s: version %d is published, %d bytes\n", name[0], version, len(content))
		return err
	})
}

// readContent reads a feed's contents, and refuses what terminals would not
// take: once it is published nothing takes it back but a later version.
func readContent(name, file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, contentMax+1))
	switch {
	case err != nil:
		return nil, err
	case len(content) == 0:
		return nil, fmt.Errorf("%s is empty", file)
	case len(content) > contentMax:
		return nil, fmt.Errorf("%s has more than %d bytes", file, contentMax)
	case name == wire.FeedSettings:
		if _, err := rules.Check(content); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	return content, nil
}

// forwardFeed moves a feed past versions that were lost with the books that
// made them. Terminals take it whole, and as it is in these books.
func forwardFeed(ctx context.Context, args []string, out io.Writer) error {
	return onBooks(ctx, "feed forward", args, 1, func(b *store.Books, name []string) error {
		all, err := b.FeedStates(ctx)
		if err != nil {
			return err
		}
		for _, s := range all {
			if s.Name != name[0] {
				continue
			}
			if s.Lost == 0 {
				return fmt.Errorf("no terminal has said that it has more than version %d of %s", s.Version, s.Name)
			}
			if err := b.ForwardFeed(ctx, s.Name, s.Lost); err != nil {
				return err
			}
			_, err = fmt.Fprintf(out, "%s: version %d is as version %d was\n", s.Name, s.Lost+1, s.Version)
			return err
		}
		return fmt.Errorf("no feed %q: there are %q", name[0], wire.FeedNames())
	})
}
