package main

import (
	"sync"
	"sync/atomic"
	"time"
)

// pace says how often something is done, and by how many at once.
type pace struct {
	Callers int     `json:"callers"`
	Seconds float64 `json:"seconds"`
	Count   int     `json:"count"`
	// How many are begun in a second, whether those before are done or not; 0 is as many as there
	// are callers for.
	Rate float64 `json:"rate"`
}

// run calls `once` with 0, 1, 2 … and the time at which it should have begun, until the seconds or
// the count are over. A call that had to wait for a free caller began when it should have, so that
// a slow server cannot hide the calls that it holds up.
func (p pace) run(once func(number int, begun time.Duration)) time.Duration {
	start := now()
	end := start + time.Duration(p.Seconds*float64(time.Second))
	var taken atomic.Int64
	var callers sync.WaitGroup
	for range max(p.Callers, 1) {
		callers.Go(func() {
			for {
				number := int(taken.Add(1)) - 1
				if p.Count > 0 && number >= p.Count {
					return
				}
				due := now()
				if p.Rate > 0 {
					due = start + time.Duration(float64(number)/p.Rate*float64(time.Second))
					time.Sleep(due - now())
				}
				if p.Seconds > 0 && due >= end {
					return
				}
				once(number, due)
			}
		})
	}
	callers.Wait()
	return now() - start
}
