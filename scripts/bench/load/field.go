package main

import "encoding/binary"

// The kinds of a field on the wire (protobuf.dev/programming-guides/encoding).
const (
	varintKind  = 0
	fixed64Kind = 1
	bytesKind   = 2
	fixed32Kind = 5
)

// appendText appends a field of text to a serialized message.
func appendText(message []byte, number uint64, text string) []byte {
	message = binary.AppendUvarint(message, number<<3|bytesKind)
	message = binary.AppendUvarint(message, uint64(len(text)))
	return append(message, text...)
}

// fieldOf answers a field's bytes, or its number; for bytes the number is their length.
func fieldOf(message []byte, wanted uint64) ([]byte, uint64) {
	for len(message) > 0 {
		tag, size := binary.Uvarint(message)
		if size <= 0 {
			return nil, 0
		}
		message = message[size:]
		value, rest, number, ok := valueOf(message, tag&7)
		if !ok {
			return nil, 0
		}
		if tag>>3 == wanted {
			return value, number
		}
		message = rest
	}
	return nil, 0
}

func valueOf(message []byte, kind uint64) (value, rest []byte, number uint64, ok bool) {
	switch kind {
	case varintKind:
		number, size := binary.Uvarint(message)
		if size <= 0 {
			return nil, nil, 0, false
		}
		return nil, message[size:], number, true
	case bytesKind:
		length, size := binary.Uvarint(message)
		if size <= 0 || length > uint64(len(message)-size) {
			return nil, nil, 0, false
		}
		end := size + int(length)
		return message[size:end], message[end:], length, true
	case fixed64Kind, fixed32Kind:
		size := 8
		if kind == fixed32Kind {
			size = 4
		}
		if len(message) < size {
			return nil, nil, 0, false
		}
		return nil, message[size:], 0, true
	}
	return nil, nil, 0, false
}
