"""A server that keys of every kind are set, changed, expired and deleted in, by several clients."""
import os
import socket
import subprocess
import threading

LIBRARY = """#!lua name=library
redis.register_function('visit', function(keys, args)
  return redis.call('HINCRBY', keys[1], args[1], 1)
end)"""
SCRIPT = """local sum, parts = %d, {}
for i, v in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
  sum = sum + #v; parts[#parts + 1] = {at = i, text = v}
end
redis.call('SET', KEYS[2], cjson.encode(parts), 'PX', 50000); return {sum, ARGV[1]}"""


class Client:
    def __init__(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect("socket")

    def send(self, *commands):
        """All at once, and what is answered within an instant is thrown away."""
        for first in range(0, len(commands), 50):
            data = b""
            for command in commands[first:first + 50]:
                words = [str(word).encode() for word in command]
                data += b"*%d\r\n" % len(words)
                data += b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
            self.socket.sendall(data)
            self.answered()

    def answered(self):
        self.socket.settimeout(0.005)
        try:
            while self.socket.recv(1 << 20):
                pass
            raise ConnectionError
        except TimeoutError:
            self.socket.settimeout(None)


def strings(i):
    yield "SET", f"session:{i}", f"token-{i * 7919:x} of user {i}", "EX", 1000 + i
    yield "SET", f"number:{i}", i * 1000003
    yield "APPEND", f"log:{i % 40}", f"line {i} of the log;"
    yield "INCRBYFLOAT", f"sum:{i % 30}", i / 7
    yield "SETRANGE", f"page:{i % 20}", i * 3, "changed"
    yield "SET", f"short:{i}", "for an instant", "PX", 1 + i % 3


def collections(i):
    yield "RPUSH", f"queue:{i % 60}", *(f"job {i} step {j}" for j in range(i % 9 + 1))
    yield "LPOP", f"queue:{i % 60}", 2
    yield "HSET", f"user:{i % 300}", "name", f"Name {i}", "city", f"City {i % 37}", f"field{i}", i
    yield "HSET", f"table:{i % 4}", f"row {i}", f"some longer text that is kept in row number {i}"
    yield "SADD", f"tags:{i % 50}", f"tag {i}", f"tag {i % 11}"
    yield "SADD", f"numbers:{i % 30}", i, i * 3
    yield "ZADD", f"board:{i % 3}", i * 17 % 1009, f"player {i}"
    yield "ZADD", f"small:{i % 90}", i, f"member {i}"
    yield "ZREM", f"board:{i % 3}", f"player {i // 2}"
    yield "GEOADD", "places", i % 170, i % 80, f"place {i}"
    yield "PFADD", f"visitors:{i % 15}", *(f"visitor {i * j}" for j in range(5))
    yield "SETBIT", f"bits:{i % 25}", i * 5, 1


def streams(i):
    stream = f"events:{i % 8}"
    yield "XADD", stream, f"{i + 1}-1", "kind", f"kind {i % 5}", "text", f"event number {i}"
    group = f"group{i // 8 % 2}"
    if i % 100 < 16:
        yield "XGROUP", "CREATE", stream, group, "0", "MKSTREAM"
    yield "XREADGROUP", "GROUP", group, f"consumer{i % 7}", "COUNT", 3, "STREAMS", stream, ">"
    yield "XACK", stream, group, f"{max(i - 15, 1)}-1"
    if i % 50 == 0:
        yield "XTRIM", stream, "MAXLEN", 100


def the_rest(i):
    yield from (["MULTI"], ["INCR", f"counter:{i % 20}"], ["LPUSH", f"history:{i % 20}", f"step {i}"],
                ["EXEC"])
    yield "EVAL", SCRIPT % (i % 60), 2, f"queue:{i % 60}", f"result:{i % 200}", f"argument {i}"
    yield "FCALL", "visit", 1, f"visits:{i % 40}", f"path/{i}"
    yield "PUBLISH", f"channel:{i % 10}", f"message {i}"
    yield "SORT", f"numbers:{i % 30}", "BY", "number:*", "LIMIT", 0, 10, "DESC"
    yield "ZUNIONSTORE", f"union:{i % 10}", 2, "board:1", f"small:{i % 90}"
    yield "ACL", "SETUSER", f"user{i % 60}", "on", f">secret{i}", f"~cached:{i}:*", "+@read", f"&news{i}"
    yield "DEL", f"session:{i - 100}", f"user:{i * 3 % 300}", f"small:{i * 7 % 90}", f"tags:{i * 11 % 50}"
    yield "UNLINK", f"events:{i % 499}", f"table:{i % 41}", f"union:{i % 23}"
    yield "SINTERSTORE", "common", f"tags:{i % 50}", f"tags:{(i + 11) % 50}"


def main():
    server = subprocess.Popen([
        os.environ["PROGRAM"], "--port", "0", "--unixsocket", "socket", "--save", "", "--hz", "100",
        "--notify-keyspace-events", "Kgx", "--slowlog-log-slower-than", "100", "--maxmemory", "200mb",
        "--activerehashing", "yes"], stdout=subprocess.PIPE, text=True)
    next(line for line in server.stdout if "ready to accept connections at" in line)
    threading.Thread(target=server.stdout.read, daemon=True).start()  # or the pipe fills
    worker, others = Client(), [Client() for _ in range(12)]
    worker.send(["FUNCTION", "LOAD", LIBRARY], ["CONFIG", "SET", "latency-monitor-threshold", "1"])
    for number, other in enumerate(others):
        other.send(["CLIENT", "SETNAME", f"client{number}"], ["WATCH", f"counter:{number}", "sum:1"])
        if number % 3 == 0:
            other.send(["SUBSCRIBE", *(f"channel:{number + i}" for i in range(4))],
                       ["PSUBSCRIBE", f"channel:?{number}*", "news*"])
        elif number % 3 == 1:
            other.send(["CLIENT", "TRACKING", "on"], ["GET", f"counter:{number}"])
            other.send(["BLPOP", *(f"empty:{number + i}" for i in range(5)), "0"])
    try:
        for i in range(100000):
            worker.send(*strings(i), *collections(i), *streams(i), *the_rest(i))
            if i % 200 == 199:
                others[i // 200 % 12].socket.close()
                others[i // 200 % 12] = Client()
    except OSError:
        pass  # the moment has come
    server.wait()


main()
