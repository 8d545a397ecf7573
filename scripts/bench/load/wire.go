package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"
)

// RFC 6455, section 5.2.
const (
	opText  = 0x1
	opClose = 0x8
	opPing  = 0x9
	opPong  = 0xA
)

const (
	dialLimit = 20 * time.Second
	readBytes = 4096
)

// wire is one WebSocket, without compression, from its handshake on.
type wire struct {
	conn net.Conn
	// What has been read; what lies before `taken` has been handled.
	buffer []byte
	taken  int
}

// connect opens a WebSocket. The token goes into the header Authorization.
func connect(address, token string) (*wire, error) {
	where, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	conn, err := net.DialTimeout("tcp", where.Host, dialLimit)
	if err != nil {
		return nil, err
	}
	made := &wire{conn: conn, buffer: make([]byte, 0, readBytes)}
	if err := made.shake(where, token); err != nil {
		conn.Close()
		return nil, err
	}
	return made, nil
}

func (w *wire) shake(where *url.URL, token string) error {
	var head strings.Builder
	fmt.Fprintf(&head, "GET %s HTTP/1.1\r\nHost: %s\r\n", where.RequestURI(), where.Host)
	head.WriteString("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n")
	head.WriteString("Sec-WebSocket-Key: dGhlIGJlbmNobWFyazEyMw==\r\n")
	if token != "" {
		fmt.Fprintf(&head, "Authorization: Bearer %s\r\n", token)
	}
	head.WriteString("\r\n")
	w.conn.SetDeadline(time.Now().Add(dialLimit))
	if _, err := w.conn.Write([]byte(head.String())); err != nil {
		return err
	}
	for {
		if end := bytes.Index(w.buffer, []byte("\r\n\r\n")); end >= 0 {
			w.taken = end + 4
			break
		}
		if err := w.more(); err != nil {
			return err
		}
	}
	if !bytes.HasPrefix(w.buffer, []byte("HTTP/1.1 101")) {
		line, _, _ := bytes.Cut(w.buffer, []byte("\r\n"))
		return errors.New(string(line))
	}
	return w.conn.SetDeadline(time.Time{})
}

// more reads once, behind what is not yet handled.
func (w *wire) more() error {
	if w.taken > 0 {
		w.buffer = append(w.buffer[:0], w.buffer[w.taken:]...)
		w.taken = 0
	}
	if len(w.buffer) == cap(w.buffer) {
		grown := make([]byte, len(w.buffer), 4*cap(w.buffer))
		copy(grown, w.buffer)
		w.buffer = grown
	}
	size, err := w.conn.Read(w.buffer[len(w.buffer):cap(w.buffer)])
	w.buffer = w.buffer[:len(w.buffer)+size]
	if size > 0 {
		return nil
	}
	return err
}

// frame answers the next frame. Its payload is good until the next call.
func (w *wire) frame() (op byte, payload []byte, err error) {
	for {
		if size, start := frameSize(w.buffer[w.taken:]); size > 0 {
			whole := w.buffer[w.taken : w.taken+size]
			w.taken += size
			return whole[0] & 0x0F, whole[start:], nil
		}
		if err := w.more(); err != nil {
			return 0, nil, err
		}
	}
}

// frameSize answers the bytes of the frame at the beginning, and those of its header; 0 where it is
// not there yet. Servers never mask.
func frameSize(data []byte) (size, start int) {
	if len(data) < 2 {
		return 0, 0
	}
	start, length := 2, int(data[1]&0x7F)
	switch length {
	case 126:
		if start = 4; len(data) >= start {
			length = int(binary.BigEndian.Uint16(data[2:]))
		}
	case 127:
		if start = 10; len(data) >= start {
			length = int(binary.BigEndian.Uint64(data[2:]))
		}
	}
	if len(data) < start+length {
		return 0, 0
	}
	return start + length, start
}

// write sends one frame.
func (w *wire) write(op byte, payload []byte) error {
	_, err := w.conn.Write(masked(op, payload))
	return err
}

// masked makes a frame of a client's, masked with zeros: a server unmasks them like any others.
func masked(op byte, payload []byte) []byte {
	frame := []byte{0x80 | op}
	switch {
	case len(payload) < 126:
		frame = append(frame, 0x80|byte(len(payload)))
	case len(payload) < 1<<16:
		frame = binary.BigEndian.AppendUint16(append(frame, 0x80|126), uint16(len(payload)))
	default:
		frame = binary.BigEndian.AppendUint64(append(frame, 0x80|127), uint64(len(payload)))
	}
	frame = append(frame, 0, 0, 0, 0)
	return append(frame, payload...)
}
