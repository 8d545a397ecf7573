package main

import (
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Go's own poller reads every socket twice for each frame, the second time in vain, and switches to
// a goroutine of its own for each. With thousands of sockets that costs as much as the servers take.
// So a crowd's sockets are read here: by a few threads, once for each wake-up.
const (
	pollers      = 2
	eventsAtOnce = 1024
	pollBytes    = 256 * 1024
	writePause   = time.Millisecond
)

// patience is how long frames may gather before they are read. Without it a server's every write wakes
// a thread here, which costs both sides more than the frame itself, as no distant client would. Where
// the time of an arrival counts there is none.
var patience atomic.Int64

type patienceArgs struct {
	Milliseconds float64 `json:"ms"`
}

func setPatience(args patienceArgs) (any, error) {
	patience.Store(int64(args.Milliseconds * float64(time.Millisecond)))
	return struct{}{}, nil
}

// listener is told what comes over a line. It is called by one thread at a time.
type listener interface {
	heard(line *line, op byte, payload []byte)
	ended(line *line)
}

// line is one open WebSocket of a crowd.
type line struct {
	owner listener

	sync.Mutex
	descriptor int
	// The beginning of a frame that has not arrived as a whole.
	rest []byte
	gone atomic.Bool
}

type poller struct {
	epoll int
	sync.Mutex
	lines map[int32]*line
	next  int32
}

var polling = sync.OnceValue(func() []*poller {
	var made []*poller
	for range pollers {
		epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
		if err != nil {
			panic(err)
		}
		one := &poller{epoll: epoll, lines: map[int32]*line{}}
		made = append(made, one)
		go one.run()
	}
	return made
})

// adopt takes a WebSocket over after its handshake, together with what has been read already.
func (w *wire) adopt(owner listener) (*line, error) {
	file, err := w.conn.(*net.TCPConn).File()
	if err != nil {
		return nil, err
	}
	// The duplicate is not known to Go's poller; the original is closed.
	descriptor, err := syscall.Dup(int(file.Fd()))
	file.Close()
	w.conn.Close()
	if err != nil {
		return nil, err
	}
	if err := syscall.SetNonblock(descriptor, true); err != nil {
		return nil, err
	}
	rest := append([]byte(nil), w.buffer[w.taken:]...)
	made := &line{owner: owner, descriptor: descriptor, rest: rest}
	return made, nil
}

// start begins to read. What was read with the handshake is handled first.
func (l *line) start(number int) error {
	l.Lock()
	l.handle(nil)
	l.Unlock()
	return polling()[number%pollers].add(l)
}

func (p *poller) add(l *line) error {
	p.Lock()
	p.next++
	key := p.next
	p.lines[key] = l
	p.Unlock()
	event := syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLRDHUP, Fd: key}
	return syscall.EpollCtl(p.epoll, syscall.EPOLL_CTL_ADD, l.descriptor, &event)
}

func (p *poller) run() {
	runtime.LockOSThread()
	events := make([]syscall.EpollEvent, eventsAtOnce)
	buffer := make([]byte, pollBytes)
	ready := make([]*line, eventsAtOnce)
	for {
		count, err := syscall.EpollWait(p.epoll, events, -1)
		if gather := time.Duration(patience.Load()); gather > 0 {
			time.Sleep(gather)
			count, err = syscall.EpollWait(p.epoll, events, 0)
		}
		if err != nil && err != syscall.EINTR {
			panic(err)
		}
		p.Lock()
		for i := range max(count, 0) {
			ready[i] = p.lines[events[i].Fd]
		}
		p.Unlock()
		for i := range max(count, 0) {
			if ready[i] != nil && !ready[i].read(buffer) {
				p.Lock()
				delete(p.lines, events[i].Fd)
				p.Unlock()
			}
		}
	}
}

// read takes what is there; it answers whether the line still lives.
func (l *line) read(buffer []byte) bool {
	l.Lock()
	if l.gone.Load() {
		l.Unlock()
		return false
	}
	size, err := syscall.Read(l.descriptor, buffer)
	if size > 0 {
		l.handle(buffer[:size])
		l.Unlock()
		return true
	}
	if err == syscall.EAGAIN || err == syscall.EINTR {
		l.Unlock()
		return true
	}
	l.close()
	l.Unlock()
	l.owner.ended(l)
	return false
}

// handle hands on every whole frame, and keeps the rest.
func (l *line) handle(data []byte) {
	if len(l.rest) > 0 {
		l.rest = append(l.rest, data...)
		data = l.rest
	}
	for {
		size, start := frameSize(data)
		if size == 0 {
			break
		}
		l.owner.heard(l, data[0]&0x0F, data[start:size])
		data = data[size:]
	}
	l.rest = append(l.rest[:0], data...)
}

// write sends one frame. A loopback has room for the few that a browser sends.
func (l *line) write(op byte, payload []byte) error {
	frame := masked(op, payload)
	for len(frame) > 0 {
		if l.gone.Load() {
			return net.ErrClosed
		}
		size, err := syscall.Write(l.descriptor, frame)
		switch err {
		case nil:
			frame = frame[size:]
		case syscall.EAGAIN, syscall.EINTR:
			time.Sleep(writePause)
		default:
			return err
		}
	}
	return nil
}

// drop ends the connection as a lost network does: without a word.
func (l *line) drop() {
	l.Lock()
	if l.gone.Load() {
		l.Unlock()
		return
	}
	syscall.SetsockoptLinger(
		l.descriptor, syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1},
	)
	l.close()
	l.Unlock()
	l.owner.ended(l)
}

func (l *line) close() {
	l.gone.Store(true)
	syscall.Close(l.descriptor)
}
