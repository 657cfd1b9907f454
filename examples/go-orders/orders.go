package main

import (
	"encoding/binary"
	"errors"
	"net"
	"syscall"
	"time"
)

// Orders over TCP, one behind the other, answered in the same order: one write for what one read
// brought. Bytes come from outside: an order that announces more than any order has is answered as
// soon as its id is there, and skipped without being kept; what is no order at all ends the
// connection, because nobody can tell where the next one would begin.

// An orderStream is what lies between two reads of a connection.
type orderStream struct {
	skip int // bytes still to come of an order that is too long to be one
}

// receive answers all whole orders in the input. It leaves less than maxOrder bytes, which it wants
// to see again with what comes behind them; false if the connection ends.
func (s *orderStream) receive(input []byte, desk *desk, out []byte) (answers []byte, used int, more bool) {
	rest := input
	for {
		if s.skip > 0 {
			skipped := s.skip
			if skipped > len(rest) {
				skipped = len(rest)
			}
			s.skip -= skipped
			rest = rest[skipped:]
		}
		if len(rest) < 3 {
			return out, len(input) - len(rest), true
		}
		length := int(binary.LittleEndian.Uint16(rest))
		switch {
		case rest[2] != wireVersion || length < headerBytes:
			return out, len(input) - len(rest), false
		case length > maxOrder && len(rest) >= 16:
			desk.count(malformed)
			out = appendReply(out, clientID(rest), malformed)
			s.skip = length
		case length > len(rest):
			return out, len(input) - len(rest), true
		default:
			out = appendReply(out, clientID(rest[:length]), desk.handle(rest[:length]))
			rest = rest[length:]
		}
	}
}

// acceptOrders deals connections out until the listener is closed.
func (s *server) acceptOrders(listener net.Listener) error {
	for {
		connection, err := listener.Accept()
		switch {
		case err == nil:
		case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ECONNABORTED):
			time.Sleep(5 * time.Millisecond) // until a descriptor is free
			continue
		case errors.Is(err, net.ErrClosed):
			return nil
		default:
			return err
		}
		desk := s.nextDesk()
		s.mu.Lock()
		if s.stopping {
			s.mu.Unlock()
			connection.Close()
			continue
		}
		s.connections[connection] = struct{}{}
		s.handlers.Add(1)
		s.mu.Unlock()
		go func() {
			defer s.handlers.Done()
			serveOrders(connection, desk)
			s.mu.Lock()
			delete(s.connections, connection)
			s.mu.Unlock()
			connection.Close()
		}()
	}
}

// serveOrders serves one connection to its end. Whoever does not read answers is not read from.
func serveOrders(connection net.Conn, desk *desk) {
	const readBytes = 64 << 10
	input := make([]byte, maxOrder+readBytes)
	var answers []byte
	var stream orderStream
	held := 0
	for {
		read, readErr := connection.Read(input[held : held+readBytes])
		if read > 0 {
			desk.mu.Lock()
			out, used, more := stream.receive(input[:held+read], desk, answers[:0])
			desk.mu.Unlock()
			answers = out
			held = copy(input, input[used:held+read])
			if _, err := connection.Write(answers); err != nil {
				return
			}
			if !more {
				windUp(connection)
				return
			}
		}
		if errors.Is(readErr, syscall.ECONNRESET) {
			return
		}
		if readErr != nil {
			windUp(connection) // the client closed, or the server stops
			return
		}
	}
}

// windUp ends a connection. To close it with unread bytes would send a reset, which may overtake our
// last answers: so nothing more is said, and what still comes is read, for a while.
func windUp(connection net.Conn) {
	if stream, ok := connection.(*net.TCPConn); ok {
		stream.CloseWrite()
	}
	connection.SetReadDeadline(time.Now().Add(linger))
	var rest [4096]byte
	for {
		if _, err := connection.Read(rest[:]); err != nil {
			return
		}
	}
}
