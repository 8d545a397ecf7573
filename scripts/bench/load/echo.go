package main

import "time"

type echoArgs struct {
	pace
	URL   string `json:"url"`
	Token string `json:"token"`
	Text  string `json:"text"`
}

// echo measures how long a text takes to a server that sends it back, over one WebSocket.
func echo(args echoArgs) (any, error) {
	one, err := connect(args.URL, args.Token)
	if err != nil {
		return nil, err
	}
	defer one.conn.Close()
	var taken []time.Duration
	args.pace.Callers = 1
	args.pace.run(func(_ int, begun time.Duration) {
		if err = one.write(opText, []byte(args.Text)); err != nil {
			return
		}
		if _, _, err = one.frame(); err == nil {
			taken = append(taken, now()-begun)
		}
	})
	return spreadOf(taken), err
}
