package main

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

type openArgs struct {
	Group string `json:"group"`
	// Used in turn, as are tokens and escrows.
	URLs    []string `json:"urls"`
	Tokens  []string `json:"tokens"`
	Escrows []string `json:"escrows"`
	Count   int      `json:"count"`
	Rate    float64  `json:"rate"`
	// What each sends after its handshake, and what it sends when it comes back.
	Steps  []step `json:"steps"`
	Resume []step `json:"resume"`
	// What is answered to the protocol's own pings in text frames.
	Pong map[string]string `json:"pong"`
	// Frames hold several messages, one on each line.
	Lines bool `json:"lines"`
	// Read the frames as Holdfast's; check that versions follow one another; come back when told to.
	Tracks  bool    `json:"tracks"`
	Checks  bool    `json:"checks"`
	Follows bool    `json:"follows"`
	Timeout float64 `json:"timeout_s"`
}

// group is a crowd of browsers that are counted together.
type group struct {
	args     openArgs
	browsers []*browser

	tracks, records         atomic.Bool
	frames, size            atomic.Int64
	first, latest           atomic.Int64
	missing, twice, refused atomic.Int64
	// The first frame since the last reset.
	sample atomic.Pointer[string]

	sync.Mutex
	errors map[string]int
}

var (
	groups   = map[string]*group{}
	grouping sync.Mutex
)

func groupOf(name string) (*group, error) {
	grouping.Lock()
	defer grouping.Unlock()
	if found := groups[name]; found != nil {
		return found, nil
	}
	return nil, fmt.Errorf("no group %q", name)
}

type gathering struct {
	Ready   int            `json:"ready"`
	Seconds float64        `json:"seconds"`
	Taken   spread         `json:"taken"`
	Errors  map[string]int `json:"errors"`
	Missing int64          `json:"missing"`
	Twice   int64          `json:"twice"`
}

func openGroup(args openArgs) (any, error) {
	made := &group{args: args, errors: map[string]int{}}
	made.tracks.Store(args.Tracks)
	for number := range args.Count {
		made.browsers = append(made.browsers, &browser{
			group:  made,
			number: number,
			token:  pick(args.Tokens, number),
			escrow: pick(args.Escrows, number),
		})
	}
	grouping.Lock()
	groups[args.Group] = made
	grouping.Unlock()
	return made.gather(args.Rate, args.Timeout, func(b *browser, deadline time.Duration) bool {
		return b.join(args.Steps, deadline)
	}), nil
}

func pick(from []string, number int) string {
	if len(from) == 0 {
		return ""
	}
	return from[number%len(from)]
}

// gather has every browser do something at once, or at a rate, and waits for all of them.
func (g *group) gather(
	rate, timeout float64, act func(b *browser, deadline time.Duration) bool,
) gathering {
	start := now()
	deadline := start + time.Duration(timeout*float64(time.Second))
	taken := make([]time.Duration, len(g.browsers))
	var all sync.WaitGroup
	for number, one := range g.browsers {
		all.Go(func() {
			begun := start
			if rate > 0 {
				begun += time.Duration(float64(number) / rate * float64(time.Second))
				time.Sleep(begun - now())
			}
			if act(one, deadline) {
				taken[number] = now() - begun
			}
		})
	}
	all.Wait()
	told := gathering{Seconds: (now() - start).Seconds()}
	good := slices.DeleteFunc(taken, func(one time.Duration) bool { return one == 0 })
	told.Ready, told.Taken = len(good), spreadOf(good)
	g.Lock()
	defer g.Unlock()
	told.Errors, g.errors = g.errors, map[string]int{}
	told.Missing, told.Twice = g.missing.Load(), g.twice.Load()
	return told
}

// join connects until it is taken, and waits until its steps are done. Each refusal is an error.
func (b *browser) join(steps []step, deadline time.Duration) bool {
	pause := 50 * time.Millisecond
	for {
		err := b.begin(pick(b.group.args.URLs, b.number), steps)
		if err == nil {
			break
		}
		b.group.wrong(err.Error())
		if now() > deadline {
			return false
		}
		time.Sleep(pause)
		pause = min(2*pause, time.Second)
	}
	return b.await(deadline)
}

func (b *browser) await(deadline time.Duration) bool {
	b.Lock()
	ready := b.ready
	if len(b.steps) == 0 {
		b.Unlock()
		return true
	}
	b.Unlock()
	select {
	case <-ready:
		return true
	case <-time.After(deadline - now()):
		b.group.wrong("was not served in time")
		return false
	}
}

func (g *group) wrong(what string) {
	g.Lock()
	defer g.Unlock()
	g.errors[what]++
}

func (g *group) count(payload []byte, at time.Duration) {
	if g.sample.Load() == nil {
		text := string(payload)
		g.sample.CompareAndSwap(nil, &text)
	}
	messages := 1
	if g.args.Lines {
		messages += bytes.Count(bytes.TrimSuffix(payload, []byte("\n")), []byte("\n"))
	}
	g.frames.Add(int64(messages))
	g.size.Add(int64(len(payload)))
	g.first.CompareAndSwap(0, int64(at))
	for {
		latest := g.latest.Load()
		if latest >= int64(at) || g.latest.CompareAndSwap(latest, int64(at)) {
			return
		}
	}
}

func (g *group) recorded() []arrival {
	var all []arrival
	for _, one := range g.browsers {
		one.Lock()
		all = append(all, one.arrivals...)
		one.Unlock()
	}
	return all
}

type resetArgs struct {
	Group string `json:"group"`
	// Note when each event reaches each socket. Costs the generator some time for each frame.
	Records bool `json:"records"`
	// Read the frames at all.
	Tracks bool `json:"tracks"`
}

func resetGroup(args resetArgs) (any, error) {
	found, err := groupOf(args.Group)
	if err != nil {
		return nil, err
	}
	for _, one := range found.browsers {
		one.Lock()
		one.arrivals = nil
		one.Unlock()
	}
	for _, one := range []*atomic.Int64{&found.frames, &found.size, &found.first, &found.latest} {
		one.Store(0)
	}
	found.sample.Store(nil)
	found.records.Store(args.Records)
	found.tracks.Store(args.Tracks || args.Records)
	return struct{}{}, nil
}

type waitArgs struct {
	Group   string  `json:"group"`
	Frames  int64   `json:"frames"`
	Timeout float64 `json:"timeout_s"`
}

type waitResult struct {
	Frames int64 `json:"frames"`
	Bytes  int64 `json:"bytes"`
	// Between the first frame and the last.
	Span float64 `json:"span_ms"`
	// The first frame.
	Sample string         `json:"sample"`
	Errors map[string]int `json:"errors"`
}

// waitForFrames returns when so many have come, or the time is over.
func waitForFrames(args waitArgs) (any, error) {
	found, err := groupOf(args.Group)
	if err != nil {
		return nil, err
	}
	deadline := now() + time.Duration(args.Timeout*float64(time.Second))
	for found.frames.Load() < args.Frames && now() < deadline {
		time.Sleep(2 * time.Millisecond)
	}
	span := time.Duration(found.latest.Load() - found.first.Load())
	found.Lock()
	defer found.Unlock()
	told := waitResult{
		Frames: found.frames.Load(),
		Bytes:  found.size.Load(),
		Span:   milliseconds(span),
		Errors: found.errors,
	}
	if sample := found.sample.Load(); sample != nil {
		told.Sample = *sample
	}
	found.errors = map[string]int{}
	return told, nil
}

type sendArgs struct {
	Group   string  `json:"group"`
	Send    string  `json:"send"`
	Expect  string  `json:"expect"`
	Rate    float64 `json:"rate"`
	Timeout float64 `json:"timeout_s"`
}

// sendToGroup has all say something more, and waits for their answers.
func sendToGroup(args sendArgs) (any, error) {
	found, err := groupOf(args.Group)
	if err != nil {
		return nil, err
	}
	act := func(b *browser, deadline time.Duration) bool {
		b.Lock()
		b.steps, b.ready = []step{{args.Send, args.Expect}}, make(chan struct{})
		b.Unlock()
		if err := b.take(); err != nil {
			found.wrong(err.Error())
			return false
		}
		return b.await(deadline)
	}
	return found.gather(args.Rate, args.Timeout, act), nil
}

type nameArgs struct {
	Group string `json:"group"`
}

// cutGroup drops every connection at once, and returns when all are gone.
func cutGroup(args nameArgs) (any, error) {
	found, err := groupOf(args.Group)
	if err != nil {
		return nil, err
	}
	for _, one := range found.browsers {
		one.Lock()
		one.leaving = true
		dropped := one.line
		one.Unlock()
		if dropped != nil {
			dropped.drop()
		}
	}
	return struct{}{}, nil
}

type resumeArgs struct {
	Group string `json:"group"`
	// The version that every browser takes for its last one; 0 keeps what each has seen.
	After   int64   `json:"after"`
	Rate    float64 `json:"rate"`
	Timeout float64 `json:"timeout_s"`
}

// resumeGroup has all come back at once after they were cut.
func resumeGroup(args resumeArgs) (any, error) {
	found, err := groupOf(args.Group)
	if err != nil {
		return nil, err
	}
	found.missing.Store(0)
	found.twice.Store(0)
	act := func(b *browser, deadline time.Duration) bool {
		if args.After > 0 {
			b.last = args.After
		}
		return b.join(found.args.Resume, deadline)
	}
	return found.gather(args.Rate, args.Timeout, act), nil
}
