// Measures Go's sync.Pool: pool GOROUTINES OBJECT_BYTES PAIRS prints the nanoseconds that so many
// pairs of Get and Put took, times the cores that worked at once. The pool-table program runs it
// once per round, so that its rounds lie between those of the other rows.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"
	"unsafe"
)

type object interface {
	[64]byte | [256]byte | [1024]byte | [65536]byte
}

// Something that the compiler cannot see through.
var sink any

func pairs[T object](pool *sync.Pool, count int) {
	for i := 0; i < count; i++ {
		held := pool.Get().(*T)
		*(*byte)(unsafe.Pointer(held)) = byte(i)
		pool.Put(held)
	}
}

func measure[T object](goroutines, count int) float64 {
	pool := sync.Pool{New: func() any { return new(T) }}
	each := count/goroutines + 1
	var warm, done sync.WaitGroup
	start := make(chan struct{})
	warm.Add(goroutines)
	done.Add(goroutines)
	for g := 0; g < goroutines; g++ {
		go func() {
			pairs[T](&pool, each/10+1)
			warm.Done()
			<-start
			pairs[T](&pool, each)
			done.Done()
		}()
	}
	warm.Wait()
	before := time.Now()
	close(start)
	done.Wait()
	elapsed := time.Since(before)
	cores := runtime.GOMAXPROCS(0)
	if goroutines < cores {
		cores = goroutines
	}
	sink = &pool
	return float64(elapsed.Nanoseconds()) * float64(cores) * float64(count) / float64(each*goroutines)
}

func main() {
	var arguments [3]int
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: pool GOROUTINES OBJECT_BYTES PAIRS")
		os.Exit(2)
	}
	for i := range arguments {
		number, err := strconv.Atoi(os.Args[i+1])
		if err != nil || number < 1 {
			fmt.Fprintln(os.Stderr, "not a positive number:", os.Args[i+1])
			os.Exit(2)
		}
		arguments[i] = number
	}
	goroutines, count := arguments[0], arguments[2]
	var nanoseconds float64
	switch arguments[1] {
	case 64:
		nanoseconds = measure[[64]byte](goroutines, count)
	case 256:
		nanoseconds = measure[[256]byte](goroutines, count)
	case 1024:
		nanoseconds = measure[[1024]byte](goroutines, count)
	case 65536:
		nanoseconds = measure[[65536]byte](goroutines, count)
	default:
		fmt.Fprintln(os.Stderr, "no objects of this size:", arguments[1])
		os.Exit(2)
	}
	fmt.Println(nanoseconds)
}
