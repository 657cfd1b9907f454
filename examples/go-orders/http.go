package main

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"time"
)

// HTTP/1.1 by the standard library's server: an order is the body of POST /orders, its answer the 16
// bytes of the binary protocol with status 200, 422 (refused) or 400 (no order); GET / says ok.

const maxBody = 4 << 10 // an order is far smaller

type deskKey struct{}

// web gives the server. Each connection has a desk of its own from its beginning.
func (s *server) web() *http.Server {
	return &http.Server{
		Handler:           http.HandlerFunc(answerHTTP),
		ReadHeaderTimeout: 10 * time.Second,
		MaxHeaderBytes:    8 << 10,
		ErrorLog:          log.New(io.Discard, "", 0), // what clients do wrong is their own affair
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
			return context.WithValue(ctx, deskKey{}, s.nextDesk())
		},
	}
}

func answerHTTP(w http.ResponseWriter, r *http.Request) {
	const hint = "POST /orders, or GET /\n"
	switch {
	case r.URL.Path == "/orders" && r.Method == http.MethodPost:
		answerOrder(w, r)
	case r.URL.Path == "/orders":
		w.Header().Set("Allow", "POST")
		answerText(w, http.StatusMethodNotAllowed, hint)
	case r.URL.Path == "/" && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		answerText(w, http.StatusOK, "ok\n")
	case r.URL.Path == "/":
		w.Header().Set("Allow", "GET, HEAD")
		answerText(w, http.StatusMethodNotAllowed, hint)
	default:
		answerText(w, http.StatusNotFound, hint)
	}
}

func answerOrder(w http.ResponseWriter, r *http.Request) {
	// One byte more than allowed, to see whether there is one.
	var buffer [maxBody + 1]byte
	length, err := io.ReadFull(r.Body, buffer[:])
	switch err {
	case nil:
		w.Header().Set("Connection", "close")
		answerText(w, http.StatusRequestEntityTooLarge, "a body has at most 4096 bytes\n")
		return
	case io.EOF, io.ErrUnexpectedEOF:
	default:
		answerText(w, http.StatusBadRequest, "the body did not come\n")
		return
	}
	if int64(length) < r.ContentLength {
		return // the client broke off
	}
	order := buffer[:length]
	desk := r.Context().Value(deskKey{}).(*desk)
	desk.mu.Lock()
	fate := desk.handle(order)
	desk.mu.Unlock()
	w.Header().Set("Content-Type", "application/octet-stream")
	switch fate {
	case accepted:
		w.WriteHeader(http.StatusOK)
	case refused:
		w.WriteHeader(http.StatusUnprocessableEntity)
	default:
		w.WriteHeader(http.StatusBadRequest)
	}
	w.Write(appendReply(nil, clientID(order), fate))
}

func answerText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain")
	w.WriteHeader(status)
	io.WriteString(w, text)
}

// shutDown waits for answers under way, not longer than clients have elsewhere.
func shutDown(web *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), linger)
	defer cancel()
	if web.Shutdown(ctx) != nil {
		web.Close()
	}
}
