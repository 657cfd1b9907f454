//go:build !cgo

package main

func foreign() int { return 7 }
