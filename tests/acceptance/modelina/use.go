// Uses the types that were written: edit TEXT, or applied|rejected TEXT.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	what, text := os.Args[1], []byte(os.Args[2])
	told := map[string]any{}
	switch what {
	case "edit":
		var edit TaskEdit
		read(text, &edit)
		written, err := json.Marshal(edit)
		check(err)
		fmt.Println(string(written))
		return
	case "applied":
		var event AppliedEvent
		read(text, &event)
		told["id"], told["type"], told["job"] = event.Id, event.ReservedType, event.Data.JobId
		told["reason"], told["detail"] = nil, nil
	case "rejected":
		var event RejectedEvent
		read(text, &event)
		told["id"], told["type"], told["job"] = event.Id, event.ReservedType, event.Data.JobId
		told["reason"], told["detail"] = event.Data.Reason, event.Data.Detail
	}
	written, err := json.Marshal(told)
	check(err)
	fmt.Println(string(written))
}

func read(text []byte, into any) {
	check(json.Unmarshal(text, into))
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
