package main

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

type post struct {
	URL     string            `json:"url"`
	Body    []byte            `json:"body"`
	Headers map[string]string `json:"headers"`
	// The event that it makes, for a trace.
	Escrow  string `json:"escrow"`
	Version int64  `json:"version"`
}

type postsArgs struct {
	pace
	Posts []post `json:"posts"`
	Keep  bool   `json:"keep"`
	Trace string `json:"trace"`
}

type postsResult struct {
	Seconds  float64        `json:"seconds"`
	Statuses map[string]int `json:"statuses"`
	Taken    spread         `json:"taken"`
	Replies  []string       `json:"replies,omitempty"`
}

// makePosts sends HTTP requests over connections that are kept.
func makePosts(args postsArgs) (any, error) {
	transport := &http.Transport{MaxIdleConnsPerHost: max(args.Callers, 1)}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: callLimit}
	var noting sync.Mutex
	told := postsResult{Statuses: map[string]int{}}
	var taken []time.Duration
	if args.Keep {
		told.Replies = make([]string, args.Count)
	}
	trace := newTrace(args.Trace)
	run := func(number int, begun time.Duration) {
		given := args.Posts[number%len(args.Posts)]
		status, body := given.send(client)
		ended := now()
		noting.Lock()
		defer noting.Unlock()
		told.Statuses[status]++
		taken = append(taken, ended-begun)
		if args.Keep {
			told.Replies[number] = string(body)
		}
		trace.add(moment{given.Escrow, given.Version}, span{begun, ended})
	}
	told.Seconds = args.pace.run(run).Seconds()
	told.Taken = spreadOf(taken)
	return told, nil
}

func (p post) send(client *http.Client) (string, []byte) {
	request, err := http.NewRequest(http.MethodPost, p.URL, bytes.NewReader(p.Body))
	if err != nil {
		return err.Error(), nil
	}
	for name, value := range p.Headers {
		request.Header.Set(name, value)
	}
	response, err := client.Do(request)
	if err != nil {
		return err.Error(), nil
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error(), nil
	}
	return strconv.Itoa(response.StatusCode), body
}
