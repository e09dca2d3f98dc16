// A Go program: its runtime makes panics of page faults, and of signals a means to switch between goroutines.
//
// recover COUNT: recovers from that many null dereferences on several goroutines, then exits with code 7.
// panic: a goroutine panics. fault: a goroutine dereferences null, and nobody recovers.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
)

type node struct {
	value int
	next  *node
}

//go:noinline
func read(n *node) int { return n.next.value }

func recovered(n *node) (found bool) {
	defer func() { found = recover() != nil }()
	return read(n) == 0
}

func faults(count int) int {
	found := 0
	for i := 0; i < count; i++ {
		if recovered(&node{}) {
			found++
		}
	}
	return found
}

func main() {
	switch os.Args[1] {
	case "recover":
		count, _ := strconv.Atoi(os.Args[2])
		found := make([]int, 4)
		var group sync.WaitGroup
		for i := range found {
			group.Add(1)
			go func(i int) {
				defer group.Done()
				found[i] = faults(count / len(found))
			}(i)
		}
		group.Wait()
		runtime.GC()
		fmt.Println("recovered", found)
		os.Exit(7)
	case "panic":
		go panic("on purpose")
	case "fault":
		go read(&node{})
	}
	select {}
}
