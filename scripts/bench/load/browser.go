package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"
)

// step is something to send, and what the answer to it contains.
type step struct {
	Send   string `json:"send"`
	Expect string `json:"expect"`
}

// arrival is when one event reached one socket.
type arrival struct {
	moment
	at time.Duration
}

// The close code of a server that restarts.
const goingAway = 1012

// move is one reconnect of a socket that follows its service.
type move struct{ at, gap time.Duration }

// browser is one client: at most one connection at a time, and what it has seen over all of them.
type browser struct {
	group  *group
	number int
	token  string
	escrow string

	sync.Mutex
	line  *line
	steps []step
	// Closed when all steps are done.
	ready chan struct{}
	// The last version that it has been told of; it is checked that the next one follows.
	last     int64
	arrivals []arrival
	moves    []move
	// When the server asked to come back, and since when nothing is connected.
	slot, lost time.Duration
	leaving    bool
}

// begin connects and takes the first step. The rest follows as frames come.
func (b *browser) begin(address string, steps []step) error {
	wire, err := connect(address, b.token)
	if err != nil {
		return err
	}
	opened, err := wire.adopt(b)
	if err != nil {
		return err
	}
	b.Lock()
	b.line, b.steps, b.ready = opened, steps, make(chan struct{})
	b.slot, b.leaving = 0, false
	b.Unlock()
	if err := opened.start(b.number); err != nil {
		return err
	}
	return b.take()
}

// take sends what the current step sends.
func (b *browser) take() error {
	b.Lock()
	defer b.Unlock()
	if len(b.steps) == 0 || b.steps[0].Send == "" {
		return nil
	}
	text := strings.NewReplacer(
		"{escrow}", b.escrow, "{token}", b.token, "{after}", strconv.FormatInt(b.last, 10),
	).Replace(b.steps[0].Send)
	return b.line.write(opText, []byte(text))
}

// heard handles a frame.
func (b *browser) heard(line *line, op byte, payload []byte) {
	switch op {
	case opPing:
		line.write(opPong, payload)
	case opClose:
		b.closed(payload)
		line.write(opClose, payload[:min(len(payload), 2)])
	case opPong:
	default:
		b.told(line, payload)
	}
}

func (b *browser) closed(payload []byte) {
	if len(payload) < 2 {
		return
	}
	if code := binary.BigEndian.Uint16(payload); code != goingAway {
		b.group.wrong(fmt.Sprintf("closed with %d", code))
	}
}

func (b *browser) told(line *line, payload []byte) {
	if answer, is := b.group.args.Pong[string(payload)]; is {
		line.write(opText, []byte(answer))
		return
	}
	at := now()
	b.group.count(payload, at)
	b.Lock()
	defer b.Unlock()
	if b.group.tracks.Load() {
		b.follow(payload, at)
	}
	if len(b.steps) > 0 && bytes.Contains(payload, []byte(b.steps[0].Expect)) {
		b.advance()
	}
}

// ended is called once for each connection, whoever ended it.
func (b *browser) ended(*line) {
	b.Lock()
	b.lost = now()
	comes := b.group.args.Follows && !b.leaving
	b.Unlock()
	if comes {
		go b.comeBack()
	}
}

// advance goes on to the next step. The caller holds the lock.
func (b *browser) advance() {
	b.steps = b.steps[1:]
	if len(b.steps) == 0 {
		close(b.ready)
		return
	}
	go b.take()
}

// follow reads a frame of Holdfast's. The caller holds the lock.
func (b *browser) follow(payload []byte, at time.Duration) {
	switch kind := textAfter(payload, `"type":"`); string(kind) {
	case "escrow_update":
		version := numberAfter(payload, `"version":`)
		if b.group.records.Load() {
			escrow := string(textAfter(payload, `"escrow_id":"`))
			b.arrivals = append(b.arrivals, arrival{moment{escrow, version}, at})
		}
		if b.group.args.Checks {
			b.check(version)
		}
	case "subscribed":
		b.last = max(b.last, numberAfter(payload, `"version":`))
	case "reconnect":
		wait := time.Duration(numberAfter(payload, `"after_ms":`)) * time.Millisecond
		b.slot = at + wait
		time.AfterFunc(wait, b.line.drop)
	case "error":
		b.group.wrong("error " + string(textAfter(payload, `"code":"`)))
		if len(b.steps) > 0 {
			time.AfterFunc(time.Second, func() { b.take() })
		}
	}
}

func (b *browser) check(version int64) {
	if version <= b.last {
		b.group.twice.Add(1)
		return
	}
	b.group.missing.Add(version - b.last - 1)
	b.last = version
}

// comeBack waits for its slot, or some time of its own choice where nobody gave it one, and then
// tries the addresses in turn until one takes it, as behind a balancer.
func (b *browser) comeBack() {
	b.Lock()
	slot, lost := b.slot, b.lost
	b.Unlock()
	if slot == 0 {
		slot = lost + time.Duration(rand.Int64N(int64(time.Second)))
	}
	time.Sleep(slot - now())
	deadline := now() + dialLimit
	for turn := rand.IntN(len(b.group.args.URLs)); now() < deadline; turn++ {
		at := now()
		address := b.group.args.URLs[turn%len(b.group.args.URLs)]
		if err := b.begin(address, b.group.args.Resume); err == nil {
			b.arrived(at, lost)
			return
		}
		b.group.refused.Add(1)
		time.Sleep(20 * time.Millisecond)
	}
	b.group.wrong("never came back")
}

func (b *browser) arrived(at, lost time.Duration) {
	if !b.await(now() + dialLimit) {
		return
	}
	b.Lock()
	b.moves = append(b.moves, move{at, now() - lost})
	b.Unlock()
}

func textAfter(payload []byte, mark string) []byte {
	_, rest, found := bytes.Cut(payload, []byte(mark))
	if !found {
		return nil
	}
	text, _, _ := bytes.Cut(rest, []byte(`"`))
	return text
}

func numberAfter(payload []byte, mark string) int64 {
	_, rest, _ := bytes.Cut(payload, []byte(mark))
	var number int64
	for _, one := range rest {
		if one < '0' || one > '9' {
			break
		}
		number = number*10 + int64(one-'0')
	}
	return number
}
