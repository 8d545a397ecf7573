package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// The names of gRPC's codes, by their numbers (grpc/doc/statuscodes.md).
var codes = []string{"OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound",
	"AlreadyExists", "PermissionDenied", "ResourceExhausted", "FailedPrecondition", "Aborted",
	"OutOfRange", "Unimplemented", "Internal", "Unavailable", "DataLoss", "Unauthenticated"}

const callLimit = 30 * time.Second

// The head of a message: whether it is compressed, which none of ours is, and its length
// (grpc/doc/PROTOCOL-HTTP2.md).
const messageHead = 5

// channel is one HTTP/2 connection without TLS. A call is one POST: gRPC's unary calls need no more.
type channel struct {
	client    *http.Client
	transport *http.Transport
	target    string
}

func dial(target string, count int) []*channel {
	var channels []*channel
	for range count {
		protocols := new(http.Protocols)
		protocols.SetUnencryptedHTTP2(true)
		transport := &http.Transport{Protocols: protocols, DisableCompression: true}
		client := &http.Client{Transport: transport, Timeout: callLimit}
		channels = append(channels, &channel{client, transport, target})
	}
	return channels
}

func (c *channel) close() { c.transport.CloseIdleConnections() }

// call sends a serialized request and answers the serialized reply.
func (c *channel) call(method, token string, request []byte) ([]byte, error) {
	body := make([]byte, messageHead, messageHead+len(request))
	binary.BigEndian.PutUint32(body[1:], uint32(len(request)))
	post, err := http.NewRequest("POST", "http://"+c.target+method,
		bytes.NewReader(append(body, request...)))
	if err != nil {
		return nil, err
	}
	post.Header["Content-Type"] = []string{"application/grpc"}
	post.Header["Te"] = []string{"trailers"}
	if token != "" {
		post.Header["Authorization"] = []string{"Bearer " + token}
	}
	answer, err := c.client.Do(post)
	if err != nil {
		return nil, fmt.Errorf("Unavailable: %w", err)
	}
	defer answer.Body.Close()
	reply, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, fmt.Errorf("Unavailable: %w", err)
	}
	if err := statusOf(answer); err != nil {
		return nil, err
	}
	if len(reply) < messageHead || int(binary.BigEndian.Uint32(reply[1:])) != len(reply)-messageHead {
		return nil, fmt.Errorf("Internal: the reply is not one message")
	}
	return reply[messageHead:], nil
}

// statusOf answers nil for OK. A refusal without a message has its status in the header.
func statusOf(answer *http.Response) error {
	told := answer.Trailer
	if told.Get("Grpc-Status") == "" {
		told = answer.Header
	}
	number, err := strconv.Atoi(told.Get("Grpc-Status"))
	if err != nil {
		return fmt.Errorf("Unknown: HTTP %s, and no status of gRPC", answer.Status)
	}
	if number == 0 {
		return nil
	}
	name := strconv.Itoa(number)
	if number > 0 && number < len(codes) {
		name = codes[number]
	}
	text, err := url.PathUnescape(told.Get("Grpc-Message"))
	if err != nil {
		text = told.Get("Grpc-Message")
	}
	return fmt.Errorf("%s: %s", name, text)
}
