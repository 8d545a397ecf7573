package main

import (
	"fmt"
	"sync"
	"time"
)

// The fields of a reply `{ Escrow escrow = 1 }` and of Escrow.
const (
	escrowField  = 1
	idField      = 1
	versionField = 9
)

// moment is one version of one escrow, which one call made and many sockets are told of.
type moment struct {
	escrow  string
	version int64
}

type span struct{ begun, ended time.Duration }

// trace remembers when calls began and ended.
type trace struct {
	sync.Mutex
	calls map[moment]span
}

var (
	traces  = map[string]*trace{}
	tracing sync.Mutex
)

// newTrace answers nil, which notes nothing, for the empty name.
func newTrace(name string) *trace {
	if name == "" {
		return nil
	}
	tracing.Lock()
	defer tracing.Unlock()
	made := &trace{calls: map[moment]span{}}
	traces[name] = made
	return made
}

func (t *trace) note(reply []byte, begun, ended time.Duration) {
	if t == nil {
		return
	}
	if made, ok := momentOf(reply); ok {
		t.add(made, span{begun, ended})
	}
}

func (t *trace) add(made moment, call span) {
	if t == nil {
		return
	}
	t.Lock()
	defer t.Unlock()
	t.calls[made] = call
}

func momentOf(reply []byte) (made moment, ok bool) {
	escrow, _ := fieldOf(reply, escrowField)
	id, found := fieldOf(escrow, idField)
	_, version := fieldOf(escrow, versionField)
	made = moment{string(id), int64(version)}
	return made, found > 0 && version > 0
}

type joinArgs struct {
	Trace string `json:"trace"`
	Group string `json:"group"`
	// Count only what began while an event of this trace was on its way to this group's sockets.
	DuringTrace string `json:"during_trace"`
	DuringGroup string `json:"during_group"`
}

type joinResult struct {
	// From the beginning of the call to the frame at the socket, and from its answer on.
	FromCall   spread `json:"from_call"`
	FromAnswer spread `json:"from_answer"`
	// For each event: until the last socket had it.
	UntilLast spread `json:"until_last"`
	Unmatched int    `json:"unmatched"`
}

// joinTrace compares when calls were made with when the frames of their events arrived.
func joinTrace(args joinArgs) (any, error) {
	made, arrivals, err := recorded(args.Trace, args.Group)
	if err != nil {
		return nil, err
	}
	var windows []span
	if args.DuringTrace != "" {
		if windows, err = flights(args.DuringTrace, args.DuringGroup); err != nil {
			return nil, err
		}
	}
	var told joinResult
	var fromCall, fromAnswer []time.Duration
	last := map[moment]time.Duration{}
	for _, one := range arrivals {
		call, known := made.calls[one.moment]
		if !known {
			told.Unmatched++
			continue
		}
		if windows != nil && !within(windows, call.begun) {
			continue
		}
		fromCall = append(fromCall, one.at-call.begun)
		fromAnswer = append(fromAnswer, one.at-call.ended)
		last[one.moment] = max(last[one.moment], one.at-call.begun)
	}
	var lasts []time.Duration
	for _, one := range last {
		lasts = append(lasts, one)
	}
	told.FromCall, told.FromAnswer = spreadOf(fromCall), spreadOf(fromAnswer)
	told.UntilLast = spreadOf(lasts)
	return told, nil
}

func recorded(traceName, groupName string) (*trace, []arrival, error) {
	tracing.Lock()
	made := traces[traceName]
	tracing.Unlock()
	if made == nil {
		return nil, nil, fmt.Errorf("no trace %q", traceName)
	}
	group, err := groupOf(groupName)
	if err != nil {
		return nil, nil, err
	}
	return made, group.recorded(), nil
}

// flights are the times during which events were on their way.
func flights(traceName, groupName string) ([]span, error) {
	made, arrivals, err := recorded(traceName, groupName)
	if err != nil {
		return nil, err
	}
	last := map[moment]time.Duration{}
	for _, one := range arrivals {
		last[one.moment] = max(last[one.moment], one.at)
	}
	windows := []span{}
	for which, call := range made.calls {
		windows = append(windows, span{call.begun, last[which]})
	}
	return windows, nil
}

func within(windows []span, at time.Duration) bool {
	for _, one := range windows {
		if one.begun <= at && at <= one.ended {
			return true
		}
	}
	return false
}
