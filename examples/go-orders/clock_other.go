//go:build !amd64

package main

const hasCounter = false

func ticks() uint64 { return 0 }
