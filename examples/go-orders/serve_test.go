package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/quick"
	"time"
)

func decodeLast(t *testing.T, text []byte, line any) {
	t.Helper()
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	if err := json.Unmarshal(lines[len(lines)-1], line); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}

// served starts serving and gives its addresses, and a function that ends it and gives what it printed last.
func served(t *testing.T, plan servePlan) (servingLine, func() servedLine) {
	t.Helper()
	reader, writer := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- runServe(plan, writer)
		writer.Close()
	}()
	decoder := json.NewDecoder(reader)
	var serving servingLine
	if err := decoder.Decode(&serving); err != nil {
		t.Fatal(err)
	}
	return serving, func() servedLine {
		t.Helper()
		syscall.Kill(syscall.Getpid(), syscall.SIGTERM)
		var line servedLine
		if err := decoder.Decode(&line); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		return line
	}
}

func localPlan(form string) servePlan {
	return servePlan{form: form, tcp: "127.0.0.1:0", http: "127.0.0.1:0", window: 1000, workers: 1}
}

func TestAStreamOfAnythingIsAnsweredAlikeHoweverItIsCut(t *testing.T) {
	orders := newCorpus(3)
	check := func(first uint16, lengths []uint16, garbage []byte, cut uint16) bool {
		var stream []byte
		for n, length := range lengths {
			if n == 3 {
				break
			}
			order := orders.request(uint64(first) + uint64(n))
			stream = append(stream, order...)
			// And one of any length, most of them too long.
			odd := make([]byte, 20+int(length)%3000)
			copy(odd, order)
			binary.LittleEndian.PutUint16(odd, uint16(len(odd)))
			stream = append(stream, odd...)
		}
		stream = append(stream, garbage...)
		whole, wholeMore := receivedInParts(stream, len(stream)+1)
		parts, partsMore := receivedInParts(stream, int(cut)%900+1)
		return bytes.Equal(whole, parts) && wholeMore == partsMore
	}
	if err := quick.Check(check, &quick.Config{MaxCount: 300}); err != nil {
		t.Error(err)
	}
}

func receivedInParts(stream []byte, part int) (answers []byte, more bool) {
	service, err := newService("free-list", 1000, 0)
	if err != nil {
		panic(err)
	}
	desk := &desk{service: service}
	var reader orderStream
	var held []byte
	more = true
	for len(stream) > 0 && more {
		if part > len(stream) {
			part = len(stream)
		}
		held = append(held, stream[:part]...)
		stream = stream[part:]
		var used int
		answers, used, more = reader.receive(held, desk, answers)
		held = held[used:]
		if more && len(held) >= maxOrder {
			panic("more is kept than an order has")
		}
	}
	return answers, more
}

func TestOrdersOverTCPAreAnsweredInOrderAndEndWithTheConnection(t *testing.T) {
	for _, form := range forms {
		serving, stop := served(t, localPlan(form))
		connection, err := net.Dial("tcp", serving.TCP)
		if err != nil {
			t.Fatal(err)
		}
		connection.SetDeadline(time.Now().Add(20 * time.Second))
		orders := newCorpus(3)
		const sent = 5000
		go func() {
			var burst []byte
			for n := uint64(0); n < sent; n++ {
				burst = append(burst, orders.request(n)...)
			}
			connection.Write(burst)
			connection.(*net.TCPConn).CloseWrite()
		}()
		answers, err := io.ReadAll(connection)
		if err != nil || len(answers) != sent*replyBytes {
			t.Fatalf("%s: %d bytes, %v", form, len(answers), err)
		}
		for n := uint64(0); n < sent; n++ {
			answer := answers[n*replyBytes:]
			if binary.LittleEndian.Uint64(answer[8:]) != clientID(orders.request(n)) || fate(answer[3]) == malformed {
				t.Fatalf("%s: answer %d is % x", form, n, answer[:replyBytes])
			}
		}
		if line := stop(); line.Orders != sent || line.Malformed != 0 || line.SettledWindows < 4 || line.Connections != 1 {
			t.Errorf("%s: %+v", form, line)
		}
	}
}

func TestAnotherProtocolIsHungUpOnAfterTheOrdersBeforeItAreAnswered(t *testing.T) {
	serving, stop := served(t, localPlan("heap"))
	defer stop()
	for _, garbage := range []string{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\xff\xff\xff", strings.Repeat("\x00", 64)} {
		connection, err := net.Dial("tcp", serving.TCP)
		if err != nil {
			t.Fatal(err)
		}
		connection.SetDeadline(time.Now().Add(20 * time.Second))
		connection.Write(append(append([]byte(nil), newCorpus(1).request(0)...), garbage...))
		if answers, err := io.ReadAll(connection); err != nil || len(answers) != replyBytes || answers[3] != byte(accepted) {
			t.Errorf("%q: % x, %v", garbage, answers, err)
		}
		connection.Close()
	}
}

func TestHTTPAnswersEachRequestWithItsStatus(t *testing.T) {
	serving, stop := served(t, localPlan("sync-pool"))
	orders := newCorpus(1)
	refusedOrder := appendOrder(nil, 9, accounts, []Item{{1, 1, 1}}, nil, nil)
	for _, test := range []struct {
		method, path string
		body         []byte
		status       int
		answer       fate
		text         string
	}{
		{"POST", "/orders", orders.request(0), 200, accepted, ""},
		{"POST", "/orders?n=1", orders.request(1), 200, accepted, ""},
		{"POST", "/orders", refusedOrder, 422, refused, ""},
		{"POST", "/orders", []byte("no order"), 400, malformed, ""},
		{"POST", "/orders", bytes.Repeat([]byte{1}, maxBody+1), 413, 0, "4096"},
		{"GET", "/orders", nil, 405, 0, "POST /orders"},
		{"GET", "/", nil, 200, 0, "ok\n"},
		{"DELETE", "/", nil, 405, 0, "GET /"},
		{"GET", "/order", nil, 404, 0, "POST /orders"},
	} {
		request, err := http.NewRequest(test.method, "http://"+serving.HTTP+test.path, bytes.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if answer.StatusCode != test.status {
			t.Errorf("%s %s: %s", test.method, test.path, answer.Status)
		}
		if test.text != "" {
			if !strings.Contains(string(body), test.text) {
				t.Errorf("%s %s: %q", test.method, test.path, body)
			}
		} else if want := appendReply(nil, clientID(test.body), test.answer); !bytes.Equal(body, want) {
			t.Errorf("%s %s: % x, not % x", test.method, test.path, body, want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	if line := stop(); line.Orders != 4 || line.Refused != 1 || line.Malformed != 1 {
		t.Errorf("%+v", line)
	}
}
