// Publishes one task edit and waits for its outcome: a whole publisher, to run or to take apart.
// Needs amqp091-go and nothing of this project; the worker checks the edit.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	applied  = 0
	rejected = 1
	misused  = 2
	absent   = 69
	late     = 75
)

// ended says how it ends; the text is for people.
type ended struct {
	code int
	text string
}

func (e ended) Error() string { return e.text }

// event holds what has to be known of one.
type event struct {
	Data struct {
		MessageID string `json:"messageId"`
		Outcome   string `json:"outcome"`
	} `json:"data"`
}

var word = regexp.MustCompile(`^[A-Za-z0-9_-]{1,100}$`)

func setting(name, otherwise string) string {
	if value, found := os.LookupEnv(name); found {
		return value
	}
	return otherwise
}

// connected gives a connection to the first server that answers.
func connected(timeout time.Duration) (*amqp.Connection, error) {
	if timeout > 10*time.Second {
		timeout = 10 * time.Second
	}
	servers := setting("TASKEDIT_AMQP_URL", "amqp://guest:guest@localhost:5672/%2F")
	var failure error
	silent := false
	for _, server := range strings.Split(servers, ",") {
		// The dialler's deadline holds until the connection is open; the error does not tell of it.
		begun := time.Now()
		connection, err := amqp.DialConfig(server, amqp.Config{Dial: amqp.DefaultDial(timeout)})
		if err == nil {
			return connection, nil
		}
		failure, silent = err, time.Since(begun) >= timeout
	}
	if silent {
		return nil, ended{late, "RabbitMQ does not answer."}
	}
	return nil, ended{absent, fmt.Sprintf("RabbitMQ: %v.", failure)}
}

// outcome publishes the edit and gives its event, by reply-to or from the events' exchange.
func outcome(ctx context.Context, channel *amqp.Channel, body []byte, appID, id string, byReply bool) ([]byte, error) {
	namespace := setting("TASKEDIT_NAMESPACE", "task-edit")
	// All of these have room for what comes, for the library waits until it is taken.
	closed := channel.NotifyClose(make(chan *amqp.Error, 1))
	returned := channel.NotifyReturn(make(chan amqp.Return, 1))
	confirmed := channel.NotifyPublish(make(chan amqp.Confirmation, 1))
	if err := channel.Confirm(false); err != nil {
		return nil, err
	}
	// First the ear, then the word: an event that nobody waits for yet is gone.
	queue, err := channel.QueueDeclare("", false, false, true, false, nil)
	if err != nil {
		return nil, err
	}
	if !byReply {
		// As the appId is written here, so a misspelt one is heard of, too; _ for what cannot be read.
		key := "_"
		if word.MatchString(appID) {
			key = appID
		}
		for _, each := range []string{key, "_"} {
			if err := channel.QueueBind(queue.Name, "*."+each, namespace+".events", false, nil); err != nil {
				return nil, err
			}
		}
	}
	heard, err := channel.Consume(queue.Name, "", true, true, false, false, nil)
	if err != nil {
		return nil, err
	}
	message := amqp.Publishing{
		ContentType:  "application/json",
		DeliveryMode: amqp.Persistent,
		MessageId:    id,
		Timestamp:    time.Now(),
		Body:         body, // as it is: what is written anew may have rounded a job id
	}
	if byReply {
		message.ReplyTo = queue.Name
	}
	if err := channel.PublishWithContext(ctx, namespace, appID, true, false, message); err != nil {
		return nil, err
	}
	select {
	case confirmation, open := <-confirmed:
		if !open {
			return nil, refusal(<-closed)
		}
		if !confirmation.Ack {
			return nil, ended{late, "RabbitMQ refused it, for a queue is full."}
		}
	case err := <-closed:
		return nil, refusal(err)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case <-returned: // which comes before the confirm
		return nil, ended{absent, "Not routed: is the worker's topology there?"}
	default:
	}
	for {
		select {
		case delivery, open := <-heard:
			if !open {
				return nil, refusal(<-closed)
			}
			var told event
			if json.Unmarshal(delivery.Body, &told) == nil && told.Data.MessageID == id {
				return delivery.Body, nil
			}
		case err := <-closed:
			return nil, refusal(err)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// refusal tells why the channel was closed.
func refusal(err *amqp.Error) error {
	if err == nil {
		return ended{absent, "RabbitMQ: the connection was closed."}
	}
	return err
}

// published does it within the timeout.
func published(body []byte, appID, id string, timeout time.Duration, byReply bool) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	type result struct {
		event []byte
		err   error
	}
	done := make(chan result, 1)
	go func() { // declaring and binding know no timeout
		connection, err := connected(timeout)
		if err != nil {
			done <- result{nil, err}
			return
		}
		channel, err := connection.Channel()
		if err != nil {
			done <- result{nil, err}
			return
		}
		event, err := outcome(ctx, channel, body, appID, id, byReply)
		done <- result{event, err}
		if err == nil {
			connection.Close()
		}
	}()
	select {
	case it := <-done:
		var closed *amqp.Error
		switch {
		case errors.Is(it.err, context.DeadlineExceeded):
			return nil, ended{late, "No outcome in time."}
		case errors.As(it.err, &closed):
			return nil, ended{absent, fmt.Sprintf("RabbitMQ: %s.", closed.Reason)}
		}
		return it.event, it.err
	case <-ctx.Done():
		return nil, ended{late, "No outcome in time."}
	}
}

func newID() string {
	random := make([]byte, 16)
	if _, err := rand.Read(random); err != nil {
		panic(err)
	}
	return fmt.Sprintf("%x", random)
}

func content(path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(os.Stdin)
	}
	return os.ReadFile(path)
}

func main() {
	by := flag.String("by", "events", "events or reply")
	timeout := flag.Float64("timeout", 60, "seconds")
	id := flag.String("message-id", newID(), "the same again, to repeat safely")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "publish-edit [--by events|reply] [--timeout SECONDS] [--message-id ID] FILE")
	}
	flag.Parse()
	if flag.NArg() != 1 || *timeout <= 0 || (*by != "events" && *by != "reply") {
		flag.Usage()
		os.Exit(misused)
	}
	body, err := content(flag.Arg(0))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(misused)
	}
	var edit struct {
		AppID string `json:"appId"`
	}
	if err := json.Unmarshal(body, &edit); err != nil || edit.AppID == "" {
		fmt.Fprintf(os.Stderr, "Not sent: appId is required, as the routing key (%v)\n", err)
		os.Exit(rejected)
	}
	wait := time.Duration(*timeout * float64(time.Second))
	found, err := published(body, edit.AppID, *id, wait, *by == "reply")
	if err != nil {
		code := absent
		var known ended
		if errors.As(err, &known) {
			code = known.code
		}
		fmt.Fprintf(os.Stderr, "%v Safe to repeat: --message-id %s\n", err, *id)
		os.Exit(code)
	}
	fmt.Println(string(found))
	var told event
	if json.Unmarshal(found, &told) == nil && told.Data.Outcome == "rejected" {
		os.Exit(rejected)
	}
	os.Exit(applied)
}
