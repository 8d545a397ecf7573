package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
)

const callLimit = 30 * time.Second

type callsArgs struct {
	pace
	Target   string `json:"target"`
	Method   string `json:"method"`
	Token    string `json:"token"`
	Channels int    `json:"channels"`
	// The requests, used in turn.
	Bodies [][]byte `json:"bodies"`
	// The number of the field that gets an id of its own in each call; 0 for none.
	RequestID protowire.Number `json:"request_id_field"`
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

// raw hands bytes through as they are: a request is made once, and a reply is not parsed.
type raw struct{}

func (raw) Name() string                       { return "proto" }
func (raw) Marshal(v any) ([]byte, error)      { return *v.(*[]byte), nil }
func (raw) Unmarshal(data []byte, v any) error { *v.(*[]byte) = data; return nil }

func makeCalls(args callsArgs) (any, error) {
	channels, err := dial(args.Target, max(args.Channels, 1))
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, one := range channels {
			one.Close()
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
			told.Errors[name(err)]++
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

func dial(target string, count int) ([]*grpc.ClientConn, error) {
	var channels []*grpc.ClientConn
	for range count {
		channel, err := grpc.NewClient("passthrough:///"+target,
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{}), grpc.WaitForReady(true)))
		if err != nil {
			return nil, err
		}
		channels = append(channels, channel)
	}
	return channels, nil
}

// marker makes the request ids of this process unlike those of any other.
var marker = time.Now().UnixNano()

func (a callsArgs) one(channel *grpc.ClientConn, number int) ([]byte, error) {
	body := a.Bodies[number%len(a.Bodies)]
	if a.RequestID > 0 {
		body = protowire.AppendTag(append([]byte(nil), body...), a.RequestID, protowire.BytesType)
		body = protowire.AppendString(body, fmt.Sprintf("bench-%d-%d-%d", marker, now(), number))
	}
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	if a.Token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+a.Token)
	}
	var reply []byte
	err := channel.Invoke(ctx, a.Method, &body, &reply)
	return reply, err
}

func name(err error) string {
	told := status.Convert(err)
	return told.Code().String() + ": " + told.Message()
}
