// A small Go program that tells where its parts are, and waits until its input ends.
package main

import (
	"fmt"
	"io"
	"os"
	"reflect"
	"runtime"
	"unsafe"
)

// Order has what a name of a type may be derived from.
type Order struct {
	id    uint64
	items []string
	next  *Order
}

//go:noinline
func allocate(n int) *Order {
	return &Order{id: uint64(n), items: make([]string, n)}
}

// The address of the description of what is in value.
func description(value any) uintptr {
	return (*[2]uintptr)(unsafe.Pointer(&value))[0]
}

func main() {
	kept := allocate(len(os.Args) + 7)
	for _, value := range []any{
		Order{}, &Order{}, [8]Order{}, []*Order{}, map[string]int{}, struct{ a, b int }{},
		func(int) string { return "" }, make(chan Order), uint64(0), "",
	} {
		fmt.Printf("type\t%x\t%s\n", description(value), reflect.TypeOf(value))
	}
	entry := reflect.ValueOf(allocate).Pointer()
	fmt.Printf("function\t%x\t%s\n", entry, runtime.FuncForPC(entry).Name())
	fmt.Printf("version\t0\t%s\n", runtime.Version())
	fmt.Printf("foreign\t0\t%d\n", foreign())
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	runtime.KeepAlive(kept)
}
