package main

import (
	"fmt"
	"sync"
	"time"
)

type callsArgs struct {
	pace
	Target   string `json:"target"`
	Method   string `json:"method"`
	Token    string `json:"token"`
	Channels int    `json:"channels"`
	// The requests, used in turn.
	Bodies [][]byte `json:"bodies"`
	// The number of the field that gets an id of its own in each call; 0 for none.
	RequestID uint64 `json:"request_id_field"`
	// Keep the replies and answer them.
	Keep bool `json:"keep"`
	// Remember under this name when each call began, by the escrow and the version that it made.
	Trace string `json:"trace"`
}

type callsResult struct {
	Calls   int            `json:"calls"`
	Seconds float64        `json:"seconds"`
	Errors  map[string]int `json:"errors"`
	Taken   spread         `json:"taken"`
	Replies [][]byte       `json:"replies,omitempty"`
}

func makeCalls(args callsArgs) (any, error) {
	channels := dial(args.Target, max(args.Channels, 1))
	defer func() {
		for _, one := range channels {
			one.close()
		}
	}()
	var noting sync.Mutex
	told := callsResult{Errors: map[string]int{}}
	var taken []time.Duration
	trace := newTrace(args.Trace)
	run := func(number int, begun time.Duration) {
		reply, err := args.one(channels[number%len(channels)], number)
		ended := now()
		noting.Lock()
		defer noting.Unlock()
		if err != nil {
			told.Errors[err.Error()]++
			return
		}
		told.Calls++
		taken = append(taken, ended-begun)
		if args.Keep {
			told.Replies = append(told.Replies, reply)
		}
		trace.note(reply, begun, ended)
	}
	told.Seconds = args.pace.run(run).Seconds()
	told.Taken = spreadOf(taken)
	return told, nil
}

// marker makes the request ids of this process unlike those of any other.
var marker = time.Now().UnixNano()

func (a callsArgs) one(through *channel, number int) ([]byte, error) {
	body := a.Bodies[number%len(a.Bodies)]
	if a.RequestID > 0 {
		id := fmt.Sprintf("bench-%d-%d-%d", marker, now(), number)
		body = appendText(append([]byte(nil), body...), a.RequestID, id)
	}
	return through.call(a.Method, a.Token, body)
}
