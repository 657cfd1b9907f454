package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// Serve: the service over TCP (orders.go) and HTTP/1.1 (http.go), as tailcut's own `load serve` does
// it, so that the same load generator loads both.

// A desk is a service that several connections share, one at a time.
type desk struct {
	mu      sync.Mutex
	service *service
	counts  counts
}

// counts is what clients were told.
type counts struct{ Orders, Refused, Malformed uint64 }

// handle answers one order. The desk must be locked.
func (d *desk) handle(order []byte) fate {
	fate := d.service.handle(order)
	d.count(fate)
	return fate
}

func (d *desk) count(fate fate) {
	d.counts.Orders++
	switch fate {
	case refused:
		d.counts.Refused++
	case malformed:
		d.counts.Malformed++
	}
}

type servingLine struct {
	Kind string `json:"kind"`
	processFacts
	Form string   `json:"form"`
	TCP  string   `json:"tcp,omitempty"`
	HTTP string   `json:"http,omitempty"`
	URLs []string `json:"urls"` // what a load generator takes as its target
}

type servedLine struct {
	Kind           string           `json:"kind"`
	Orders         uint64           `json:"orders"`
	Refused        uint64           `json:"refused"`
	Malformed      uint64           `json:"malformed"`
	Connections    uint64           `json:"connections"`
	SettledWindows uint64           `json:"settled_windows"`
	GCProcess      collectorFigures `json:"gc_process"`
	Mallocs        uint64           `json:"mallocs"`
	AllocatedBytes uint64           `json:"allocated_bytes"`
}

// A server has the desks and deals connections out to them in turn.
type server struct {
	desks []*desk

	mu          sync.Mutex
	accepted    uint64
	connections map[net.Conn]struct{} // of orders; those of HTTP are its server's
	stopping    bool
	handlers    sync.WaitGroup
}

// linger is how long a client has to read its last answers.
const linger = 700 * time.Millisecond

// runServe serves until SIGINT or SIGTERM. What was read by then is answered.
func runServe(plan servePlan, out io.Writer) error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)

	s := &server{connections: make(map[net.Conn]struct{})}
	for n := 0; n < plan.workers; n++ {
		service, err := newService(plan.form, plan.window, n)
		if err != nil {
			return err
		}
		s.desks = append(s.desks, &desk{service: service})
	}
	line := servingLine{Kind: "serving", processFacts: thisProcess(), Form: plan.form}
	failed := make(chan error, 2)
	var orders net.Listener
	if plan.tcp != "" {
		var err error
		if orders, err = net.Listen("tcp", plan.tcp); err != nil {
			return fmt.Errorf("--tcp %s: %w", plan.tcp, err)
		}
		line.TCP = orders.Addr().String()
		line.URLs = append(line.URLs, "tcp://"+line.TCP)
		go func() { failed <- s.acceptOrders(orders) }()
	}
	web := s.web()
	if plan.http != "" {
		listener, err := net.Listen("tcp", plan.http)
		if err != nil {
			return fmt.Errorf("--http %s: %w", plan.http, err)
		}
		line.HTTP = listener.Addr().String()
		line.URLs = append(line.URLs, "http://"+line.HTTP+"/")
		go func() { failed <- web.Serve(listener) }()
	}
	if err := printLine(out, line); err != nil {
		return err
	}
	var err error
	select {
	case <-signals:
	case err = <-failed:
	}
	s.stop(orders, web)
	if err != nil {
		return err
	}
	return printLine(out, s.served())
}

func (s *server) stop(orders net.Listener, web *http.Server) {
	if orders != nil {
		orders.Close()
	}
	s.mu.Lock()
	s.stopping = true
	for connection := range s.connections {
		connection.SetReadDeadline(time.Now()) // wakes its handler
	}
	s.mu.Unlock()
	shutDown(web)
	s.handlers.Wait()
}

func (s *server) served() servedLine {
	collector := newCollectorReader().read()
	line := servedLine{
		Kind: "ended", Connections: s.accepted, GCProcess: collector,
		Mallocs: collector.mallocs, AllocatedBytes: collector.allocated,
	}
	for _, desk := range s.desks {
		desk.mu.Lock()
		line.Orders += desk.counts.Orders
		line.Refused += desk.counts.Refused
		line.Malformed += desk.counts.Malformed
		line.SettledWindows += desk.service.settled
		desk.mu.Unlock()
	}
	return line
}

// nextDesk deals a new connection out.
func (s *server) nextDesk() *desk {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepted++
	return s.desks[s.accepted%uint64(len(s.desks))]
}
