// Package wal reads the file in which SQLite keeps what is committed and not yet
// in the database, the "-wal", as its file format has it.
//
// SQLite ends at the first frame whose checksum is wrong, and takes all behind it
// for what a power cut has left of the last transaction. It does not ask whether
// whole transactions are there, which can only have been written once that frame
// was on the disk: a single bit that has flipped takes all of them along, and
// nothing is said. [Damaged] asks, [Lost] whether that does any harm, and [Mend]
// gives back what is behind it.
package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"maps"
)

const (
	magic      = 0x377f0682 // and 1 more for checksums over big-endian words
	version    = 3007000
	headerSize = 32
	frameSize  = 24 // before each page
	sector     = 512
	pageMin    = 512
	pageMax    = 65536
)

// sum is SQLite's checksum, which goes on from frame to frame.
type sum [2]uint32

// file is what can be read of a "-wal".
type file struct {
	content []byte
	page    int
	order   binary.ByteOrder // of the words that are added up
	whole   bool             // the header is as it was written
	salt    []byte           // that frames of its last run have
}

// open reads the header. ok is false for a file in which there is nothing to
// look for.
func open(content []byte) (f file, ok bool) {
	if len(content) < headerSize+frameSize+pageMin {
		return f, false
	}
	f = file{content: content, order: binary.LittleEndian, page: int(binary.BigEndian.Uint32(content[8:]))}
	if content[3]&1 == 1 {
		f.order = binary.BigEndian
	}
	f.salt = content[16:24]
	f.whole = f.page >= pageMin && f.page <= pageMax && f.page&(f.page-1) == 0 &&
		binary.BigEndian.Uint32(content)&^1 == magic && f.add(sum{}, content[:24]) == stored(content[24:32])
	if f.whole {
		return f, true
	}
	return guessed(content)
}

// guessed finds in the frames what a header that is damaged does not say: each is
// added to the one before it. No frame is written before its header is on the
// disk, so that the first are of the last run.
func guessed(content []byte) (f file, ok bool) {
	f.content = content
	for _, f.order = range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		for f.page = pageMin; f.page <= pageMax; f.page *= 2 {
			if f.salt = f.saltOfFirst(); f.salt != nil {
				return f, true
			}
		}
	}
	return f, false
}

// saltOfFirst returns the salt of the first two frames that follow each other, or
// nil.
func (f file) saltOfFirst() []byte {
	for i := 1; f.frame(i) != nil; i++ {
		before, frame := f.frame(i-1), f.frame(i)
		f.salt = before[8:16]
		if f.ours(frame) && f.follows(frame, stored(before[16:24])) {
			return f.salt
		}
	}
	return nil
}

func (f file) add(s sum, b []byte) sum {
	for ; len(b) >= 8; b = b[8:] {
		s[0] += f.order.Uint32(b) + s[1]
		s[1] += f.order.Uint32(b[4:]) + s[0]
	}
	return s
}

func stored(b []byte) sum { return sum{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])} }

// frame returns a frame with its page, or nil behind the last.
func (f file) frame(i int) []byte {
	from := headerSize + i*(frameSize+f.page)
	if from+frameSize+f.page > len(f.content) {
		return nil
	}
	return f.content[from : from+frameSize+f.page]
}

// ours reports whether a frame is of the last run: what is left of earlier ones
// has another salt. There is no page 0; SQLite takes nothing from there on.
func (f file) ours(frame []byte) bool { return number(frame) != 0 && bytes.Equal(frame[8:16], f.salt) }

// follows reports whether a frame is as it was written, behind one with a sum.
func (f file) follows(frame []byte, before sum) bool {
	return f.add(f.add(before, frame[:8]), frame[frameSize:]) == stored(frame[16:24])
}

// split reports whether a frame's page and end are in another sector of the disk than its
// salt, so that a power cut may leave the one without the other.
func (f file) split(i int) bool {
	at := headerSize + i*(frameSize+f.page)
	return at/sector != (at+15)/sector
}

func number(frame []byte) uint32 { return binary.BigEndian.Uint32(frame) }
func ends(frame []byte) bool     { return binary.BigEndian.Uint32(frame[4:]) != 0 } // a transaction

// Damaged reports whether a "-wal" lacks in its middle what was on the disk:
// behind a frame that SQLite does not take is the end of its transaction, and
// that of another, each frame added to the one before it. Each transaction is on the
// disk before the next begins. One that does not go on from what is before it was
// there earlier: what a power cut has torn stays behind what is written in its place.
// Where a header lies in two sectors, one of which was lost, it is half of an earlier
// run's: what is not as it was written ends nothing then.
//
// Damage to the last transaction, or to where the one before it ends, cannot be told from a power cut.
func Damaged(content []byte) bool {
	f, ok := open(content)
	if !ok {
		return false
	}
	from, transactions, last := 0, 0, uint32(0)
	if f.whole {
		from = f.taken()
	}
	if from > 0 && ends(f.frame(from-1)) {
		last = number(f.frame(from - 1))
	}
	for i := from; transactions < 2; i++ {
		frame := f.frame(i)
		if frame == nil {
			return false
		}
		before := f.content[24:32]
		if i > 0 {
			before = f.frame(i - 1)[16:24]
		}
		follows := f.follows(frame, stored(before))
		if i > from && !follows {
			transactions = 0
		}
		switch {
		case !f.ours(frame): // torn, and may be one that is there again
		case !follows && f.split(i): // torn, and the rest of its header may be of an earlier run
			last = 0
		case !ends(frame):
			last = 0
		case number(frame) != last: // else it is there again, to fill a sector
			transactions++
			last = number(frame)
		}
	}
	return true
}

// Lost reports whether what SQLite shows of the database lacks something that a
// damaged "-wal" holds. It does not where all of it is in the database already: a
// "-wal" is begun anew once it is, and its new beginning may not have come whole
// onto the disk. base is the database.
func Lost(content []byte, base io.ReaderAt) (bool, error) {
	f, ok := open(content)
	if !ok {
		return false, nil
	}
	taken := 0
	if f.whole {
		taken = f.taken()
	}
	shown, held := f.pages(taken), f.pages(len(content))
	page := make([]byte, f.page)
	for n, want := range held {
		got, ok := shown[n]
		if !ok {
			if _, err := base.ReadAt(page, (int64(n)-1)*int64(f.page)); errors.Is(err, io.EOF) {
				return true, nil
			} else if err != nil {
				return false, err
			}
			got = page
		}
		if !bytes.Equal(got, want) {
			return true, nil
		}
	}
	return false, nil
}

// pages returns the pages of whole transactions in the first n frames, each as the
// last of them has it.
func (f file) pages(n int) map[uint32][]byte {
	all, open := map[uint32][]byte{}, map[uint32][]byte{}
	for i := range n {
		frame := f.frame(i)
		if frame == nil {
			break
		}
		if !f.ours(frame) {
			continue
		}
		open[number(frame)] = frame[frameSize:]
		if ends(frame) {
			maps.Copy(all, open)
			clear(open)
		}
	}
	return all
}

// taken returns how many frames SQLite takes.
func (f file) taken() (n int) {
	s := stored(f.content[24:32])
	for ; ; n++ {
		frame := f.frame(n)
		if frame == nil || !f.ours(frame) || !f.follows(frame, s) {
			return n
		}
		s = stored(frame[16:24])
	}
}

// Mend returns a "-wal" of which SQLite takes all that is there, up to the last
// frame that ends a transaction. A page with a flipped bit is among it, and what
// it refers to can then still be found; but whoever reads that has to prove each
// thing that they find.
func Mend(content []byte) (mended []byte) {
	f, ok := open(content)
	if !ok {
		return content
	}
	mended = bytes.Clone(content[:headerSize])
	binary.BigEndian.PutUint32(mended, magic)
	if f.order == binary.BigEndian {
		binary.BigEndian.PutUint32(mended, magic|1)
	}
	binary.BigEndian.PutUint32(mended[4:], version)
	binary.BigEndian.PutUint32(mended[8:], uint32(f.page))
	copy(mended[16:], f.salt)
	running := f.add(sum{}, mended[:24])
	put(mended[24:], running)
	end := len(mended)
	for i := 0; f.frame(i) != nil; i++ {
		if !f.ours(f.frame(i)) {
			continue
		}
		frame := bytes.Clone(f.frame(i))
		running = f.add(f.add(running, frame[:8]), frame[frameSize:])
		put(frame[16:], running)
		mended = append(mended, frame...)
		if ends(frame) {
			end = len(mended)
		}
	}
	return mended[:end]
}

func put(b []byte, s sum) {
	binary.BigEndian.PutUint32(b, s[0])
	binary.BigEndian.PutUint32(b[4:], s[1])
}
