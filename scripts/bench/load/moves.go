package main

import (
	"slices"
	"time"
)

type movesArgs struct {
	Group string `json:"group"`
	// Return when so many have come back, or the time is over.
	Count   int     `json:"count"`
	Timeout float64 `json:"timeout_s"`
}

type movesResult struct {
	Moves int `json:"moves"`
	// The most that came back within any one second, and the mean of all seconds.
	Busiest float64        `json:"busiest_per_s"`
	Mean    float64        `json:"mean_per_s"`
	Gap     spread         `json:"gap"`
	Missing int64          `json:"missing"`
	Twice   int64          `json:"twice"`
	Refused int64          `json:"refused"`
	Errors  map[string]int `json:"errors"`
}

// tellMoves tells how the browsers of a group came back.
func tellMoves(args movesArgs) (any, error) {
	found, err := groupOf(args.Group)
	if err != nil {
		return nil, err
	}
	deadline := now() + time.Duration(args.Timeout*float64(time.Second))
	for len(found.moved()) < args.Count && now() < deadline {
		time.Sleep(20 * time.Millisecond)
	}
	moves := found.moved()
	var at, gaps []time.Duration
	for _, one := range moves {
		at, gaps = append(at, one.at), append(gaps, one.gap)
	}
	slices.Sort(at)
	told := movesResult{Moves: len(moves), Gap: spreadOf(gaps)}
	told.Busiest, told.Mean = busiest(at), mean(at)
	told.Missing, told.Twice = found.missing.Load(), found.twice.Load()
	told.Refused = found.refused.Load()
	found.Lock()
	defer found.Unlock()
	told.Errors = found.errors
	return told, nil
}

func (g *group) moved() []move {
	var all []move
	for _, one := range g.browsers {
		one.Lock()
		all = append(all, one.moves...)
		one.Unlock()
	}
	return all
}

func busiest(at []time.Duration) float64 {
	most, from := 0, 0
	for until := range at {
		for at[until]-at[from] >= time.Second {
			from++
		}
		most = max(most, until-from+1)
	}
	return float64(most)
}

func mean(at []time.Duration) float64 {
	if len(at) == 0 {
		return 0
	}
	return float64(len(at)) / max((at[len(at)-1]-at[0]).Seconds(), 1)
}
