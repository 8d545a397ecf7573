// Command generator makes the benchmark's load: gRPC calls, WebSockets, webhooks.
//
// It reads one command a line from standard input, as JSON {"id","op","args"}, runs each in a
// goroutine of its own, and writes {"id","result"} or {"id","error"} when that command is done. It
// ends when standard input does.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sync"
)

type command struct {
	ID   int             `json:"id"`
	Op   string          `json:"op"`
	Args json.RawMessage `json:"args"`
}

type answer struct {
	ID     int    `json:"id"`
	Result any    `json:"result,omitempty"`
	Error  string `json:"error,omitempty"`
}

var ops = map[string]func(json.RawMessage) (any, error){
	"calls":    with(makeCalls),
	"posts":    with(makePosts),
	"open":     with(openGroup),
	"reset":    with(resetGroup),
	"wait":     with(waitForFrames),
	"send":     with(sendToGroup),
	"cut":      with(cutGroup),
	"resume":   with(resumeGroup),
	"moves":    with(tellMoves),
	"echo":     with(echo),
	"join":     with(joinTrace),
	"patience": with(setPatience),
}

// with decodes an operation's arguments before it runs.
func with[A any](run func(A) (any, error)) func(json.RawMessage) (any, error) {
	return func(raw json.RawMessage) (any, error) {
		var args A
		if err := json.Unmarshal(raw, &args); err != nil {
			return nil, err
		}
		return run(args)
	}
}

func main() {
	input := bufio.NewReaderSize(os.Stdin, 1<<20)
	output := json.NewEncoder(os.Stdout)
	var writing sync.Mutex
	for {
		line, err := input.ReadBytes('\n')
		if err != nil {
			return
		}
		var given command
		if err := json.Unmarshal(line, &given); err != nil {
			fmt.Fprintln(os.Stderr, "generator: not a command:", err)
			os.Exit(1)
		}
		go func() {
			told := perform(given)
			writing.Lock()
			defer writing.Unlock()
			if err := output.Encode(told); err != nil {
				os.Exit(1)
			}
		}()
	}
}

func perform(given command) answer {
	op, known := ops[given.Op]
	if !known {
		return answer{ID: given.ID, Error: "no such operation: " + given.Op}
	}
	result, err := op(given.Args)
	if err != nil {
		return answer{ID: given.ID, Error: err.Error()}
	}
	return answer{ID: given.ID, Result: result}
}
