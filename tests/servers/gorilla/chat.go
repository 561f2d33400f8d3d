// A chat on gorilla/websocket after the library's own example: a hub, two goroutines a client, and messages that wait are
// batched into one frame, separated by newlines. The sender is included. A room is the path behind /ws. Its heartbeat is a
// protocol ping every BEAT_MS. MISTAKE: lost (every tenth message skips its sender), leak (every tenth goes to all rooms),
// heartbeat (none).
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/gorilla/websocket"
)

type client struct {
	conn *websocket.Conn
	room string
	send chan []byte
}

type message struct {
	from *client
	text []byte
}

type hub struct {
	register, unregister chan *client
	broadcast            chan message
}

var mistake = os.Getenv("MISTAKE")

func (h *hub) run() {
	clients := map[*client]bool{}
	relayed := 0
	for {
		select {
		case c := <-h.register:
			clients[c] = true
		case c := <-h.unregister:
			if clients[c] {
				delete(clients, c)
				close(c.send)
			}
		case m := <-h.broadcast:
			relayed++
			seeded := 0
			for c := range clients {
				other := c.room != m.from.room
				if other && !leaks(relayed) {
					continue
				}
				if mistake == "lost" && relayed%10 == 0 && c == m.from {
					seeded++
					continue
				}
				select {
				case c.send <- m.text:
					if other {
						seeded++
					}
				default:
					delete(clients, c)
					close(c.send)
				}
			}
			if seeded > 0 {
				fmt.Printf("seeded %s %d\n", mistake, seeded)
			}
		}
	}
}

// Leaks end after ten, so that the last is long past when the run ends.
func leaks(message int) bool {
	return mistake == "leak" && message%10 == 0 && message <= 100
}

func (c *client) read(h *hub) {
	defer func() {
		h.unregister <- c
		c.conn.Close()
	}()
	c.conn.SetReadLimit(1 << 20)
	for {
		_, text, err := c.conn.ReadMessage()
		if err != nil {
			return
		}
		h.broadcast <- message{c, text}
	}
}

func (c *client) write(beat time.Duration) {
	ticker := time.NewTicker(beat)
	defer func() {
		ticker.Stop()
		c.conn.Close()
	}()
	for {
		select {
		case text, open := <-c.send:
			c.conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
			if !open {
				c.conn.WriteMessage(websocket.CloseMessage, nil)
				return
			}
			w, err := c.conn.NextWriter(websocket.TextMessage)
			if err != nil {
				return
			}
			w.Write(text)
			for waiting := len(c.send); waiting > 0; waiting-- {
				text, open := <-c.send
				if !open {
					break
				}
				w.Write([]byte{'\n'})
				w.Write(text)
			}
			if w.Close() != nil {
				return
			}
		case <-ticker.C:
			c.conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
			if c.conn.WriteMessage(websocket.PingMessage, nil) != nil {
				return
			}
		}
	}
}

func main() {
	beat := time.Second
	if ms, err := strconv.Atoi(os.Getenv("BEAT_MS")); err == nil {
		beat = time.Duration(ms) * time.Millisecond
	}
	if mistake == "heartbeat" {
		beat = time.Hour
	}
	h := &hub{make(chan *client), make(chan *client), make(chan message)}
	go h.run()
	upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	http.HandleFunc("/ws/", func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		c := &client{conn, r.URL.Path, make(chan []byte, 4096)}
		h.register <- c
		go c.write(beat)
		go c.read(h)
	})
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening %s\n", listener.Addr())
	log.Fatal(http.Serve(listener, nil))
}
