/* Sockets as BSD has them, over Unix sockets, TCP, TLS, shared memory and WebSocket. A stable interface for C99 and
 * everything that calls C; the same in C++: <ferry/socket.hpp>. What each call means on each transport:
 * docs/socket-api.md. Link with libferry_socket.
 *
 * Every function that returns int answers -1 and sets ferry_errno if it fails. Any thread may call any function.
 * Progress happens inside of calls, or with ferry_run_in_background(). In the child of a fork() the sockets of the
 * parent are FERRY_EBADF, and new ones can be made.
 *
 * Stability: a constant never changes its value, a structure never its size or layout, a function never its meaning. */
#ifndef FERRY_SOCKET_H
#define FERRY_SOCKET_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define FERRY_API __attribute__((visibility("default")))
#else
#define FERRY_API
#endif

/* Errors. The first six tell what went wrong with a connection, the others what the caller can do. */
enum {
  FERRY_ENET = 1,      /* the network; ferry_system_errno() has the errno (ECONNRESET, ETIMEDOUT, EPIPE, ...) */
  FERRY_EPROTOCOL = 2, /* the peer broke the protocol; WebSocket close code 1002 */
  FERRY_EMASK = 3,     /* a WebSocket frame with the wrong masking; close code 1002 */
  FERRY_EOVERFLOW = 4, /* larger than the limit, or no buffers left; close code 1009 */
  FERRY_ETIMEOUT = 5,  /* a deadline passed */
  FERRY_ECLOSED = 6,   /* ended in order */
  FERRY_EAGAIN = 16,   /* would block */
  FERRY_EINPROGRESS = 17,
  FERRY_EALREADY = 18,
  FERRY_EISCONN = 19,
  FERRY_ENOTCONN = 20,
  FERRY_EBADF = 21, /* no such socket */
  FERRY_EINVAL = 22,
  FERRY_EFAULT = 23,   /* a null pointer */
  FERRY_EMSGSIZE = 24, /* the buffer is too small; the message stays where it is */
  FERRY_EOPNOTSUPP = 25,
  FERRY_EADDRINUSE = 26,
  FERRY_EADDRNOTAVAIL = 27,
  FERRY_EACCES = 28,
  FERRY_EMFILE = 29,
  FERRY_ENOPROTOOPT = 30,
  FERRY_ECANCELED = 31
};

/* Families of addresses */
enum { FERRY_AF_UNSPEC = 0, FERRY_AF_INET = 1, FERRY_AF_INET6 = 2, FERRY_AF_LOCAL = 3 };

/* Transports */
enum {
  FERRY_IPC = 1, /* Unix socket */
  FERRY_TCP = 2,
  FERRY_TLS = 3,
  FERRY_SHM = 4,    /* shared memory */
  FERRY_INPROC = 5, /* inside of this process */
  FERRY_WS = 6,     /* WebSocket with the HTTP upgrade */
  FERRY_WSS = 7,
  FERRY_RAW_WS = 8, /* WebSocket frames without it */
  FERRY_RAW_WSS = 9,
  FERRY_WS_IPC = 10 /* WebSocket over a Unix socket */
};

/* Types: what send and recv count in */
enum { FERRY_SOCK_MESSAGE = 0, FERRY_SOCK_STREAM = 1 };

/* States */
enum {
  FERRY_INIT = 0,
  FERRY_BOUND = 1,
  FERRY_LISTENING = 2,
  FERRY_CONNECTING = 3,
  FERRY_HANDSHAKING = 4,
  FERRY_OPEN = 5,
  FERRY_CLOSING = 6,
  FERRY_CLOSED = 7,
  FERRY_RECONNECTING = 8
};

/* Flags of send and recv */
enum {
  FERRY_MSG_PEEK = 1,
  FERRY_MSG_DONTWAIT = 2,
  FERRY_MSG_MORE = 4,  /* send: the message goes on with the next call */
  FERRY_MSG_TRUNC = 8, /* recv: take what fits and drop the rest; the length of the whole message is returned */
  FERRY_MSG_TEXT = 16, /* send: the message is text */
  FERRY_MSG_EOR = 32,  /* in ferry_message_info: the last byte of a message is in the buffer */
  FERRY_MSG_END = 64   /* in ferry_message_info: the peer has ended, nothing comes any more */
};

/* What of ferry_shutdown */
enum { FERRY_SHUT_RD = 0, FERRY_SHUT_WR = 1, FERRY_SHUT_RDWR = 2 };

/* Events of ferry_poll */
enum { FERRY_POLLIN = 1, FERRY_POLLOUT = 4, FERRY_POLLERR = 8, FERRY_POLLHUP = 16, FERRY_POLLNVAL = 32 };

/* Levels of the log, from what an operator must see to what only a developer wants */
enum { FERRY_LOG_ERROR = 0, FERRY_LOG_WARN = 1, FERRY_LOG_INFO = 2, FERRY_LOG_DEBUG = 3, FERRY_LOG_TRACE = 4 };

/* Options: level and numbers. Times are in milliseconds, sizes in bytes, flags 0 or 1, choices the place of the choice;
 * _TEXT options take and give characters. Names and defaults: docs/socket-api.md. */
enum { FERRY_SOL_SOCKET = 1 };
enum {
  FERRY_SO_NONBLOCK = 1,
  FERRY_SO_RCVTIMEO = 2,
  FERRY_SO_SNDTIMEO = 3,
  FERRY_SO_RECVMODE = 4,    /* FERRY_SOCK_MESSAGE, FERRY_SOCK_STREAM */
  FERRY_SO_CLOSEPOLICY = 5, /* 0 graceful, 1 hard */
  FERRY_SO_STATE = 6,       /* FERRY_INIT ...; can only be read */
  FERRY_SO_ERROR = 7,       /* why it failed, told once; can only be read */
  FERRY_SO_SYSTEM_ERRNO = 8,
  FERRY_SO_TRANSPORT = 9,
  FERRY_SO_PING_INTERVAL = 20,
  FERRY_SO_PING_TIMEOUT = 21,
  FERRY_SO_PING_MISSES = 22,
  FERRY_SO_IDLE_POLICY = 23, /* 0 disconnect, 1 ping */
  FERRY_SO_CONNECT_TIMEOUT = 30,
  FERRY_SO_WRITE_TIMEOUT = 31,
  FERRY_SO_READ_IDLE = 32,
  FERRY_SO_WRITE_IDLE = 33,
  FERRY_SO_OVERALL_IDLE = 34,
  FERRY_SO_CLOSE_TIMEOUT = 35,
  FERRY_SO_HIGH_WATER_MARK = 40,
  FERRY_SO_LOW_WATER_MARK = 41,
  FERRY_SO_RECV_HIGH_WATER_MARK = 42,
  FERRY_SO_RECV_LOW_WATER_MARK = 43,
  FERRY_SO_MAX_FRAME = 44,
  FERRY_SO_MAX_MESSAGE = 45,
  FERRY_SO_TLS_VERIFY = 50, /* 0 automatic, 1 yes, 2 no, 3 optional */
  FERRY_SO_TLS_CA_TEXT = 51,
  FERRY_SO_TLS_CERT_TEXT = 52,
  FERRY_SO_TLS_KEY_TEXT = 53,
  FERRY_SO_TLS_SERVER_NAME_TEXT = 54,
  FERRY_SO_TLS_ALPN_TEXT = 55,
  FERRY_SO_TLS_PIN_TEXT = 56,
  FERRY_SO_RECONNECT = 60,
  FERRY_SO_RECONNECT_BASE = 61,
  FERRY_SO_RECONNECT_FACTOR_TEXT = 62,
  FERRY_SO_RECONNECT_JITTER_TEXT = 63,
  FERRY_SO_RECONNECT_MAX = 64,
  FERRY_SO_RECONNECT_ATTEMPTS = 65,
  FERRY_SO_NODELAY = 70,
  FERRY_SO_KEEPALIVE = 71,
  FERRY_SO_KEEPALIVE_IDLE = 72,
  FERRY_SO_KEEPALIVE_INTERVAL = 73,
  FERRY_SO_KEEPALIVE_COUNT = 74,
  FERRY_SO_SNDBUF = 75,
  FERRY_SO_RCVBUF = 76,
  FERRY_SO_BACKLOG = 80,
  FERRY_SO_MAX_CONNECTIONS = 81
};

/* Where a socket listens or connects to. All texts end with a zero byte. */
struct ferry_address {
  char host[256];  /* name, IPv4, IPv6 without brackets, "*" or empty: all */
  uint16_t port;   /* 0: any (bind) */
  uint16_t family; /* FERRY_AF_... */
  char path[1024]; /* Unix socket, request of a WebSocket, name */
};

struct ferry_message_info {
  uint64_t length; /* of the whole message */
  uint32_t flags;  /* FERRY_MSG_TEXT, FERRY_MSG_EOR, FERRY_MSG_END */
  uint32_t type;
};

struct ferry_pollfd {
  int sid;
  uint32_t events;
  uint32_t revents;
};

struct ferry_socket_info {
  int sid;
  int transport;
  int state;
};

/* Of one socket, or of all of them together. */
struct ferry_stats {
  uint64_t messages_sent, messages_received;
  uint64_t bytes_sent, bytes_received; /* on the wire, framing included */
  uint64_t connections;                /* times that it was up; of all: sockets ever made */
  uint64_t failed_attempts;
  uint64_t maybe_lost;        /* messages: an upper bound */
  uint64_t queued_bytes;      /* for sending */
  uint64_t accepted, refused; /* by a listening one */
  uint64_t open, closed;      /* of all: sockets */
  uint64_t tls_handshakes, tls_resumed;
  uint64_t pool_bytes_lent, pool_bytes_kept, pool_refused;
};

/* Life. A socket is a number, counted up from 1 and never given out twice. */
FERRY_API int ferry_socket(int family, int type, int transport);
FERRY_API int ferry_bind(int sid, const struct ferry_address* address);
FERRY_API int ferry_listen(int sid, int backlog);                          /* 0: the option's default */
FERRY_API int ferry_accept(int sid, struct ferry_address* from_or_null);   /* the new socket */
FERRY_API int ferry_connect(int sid, const struct ferry_address* address); /* FERRY_EINPROGRESS if it must not wait */
FERRY_API int ferry_shutdown(int sid, int what);
FERRY_API int ferry_close(int sid); /* -1 also if something may not have reached the peer; the number is free anyway */

/* Data. A return value of 0 from a receiving function: the peer has ended, or an empty message (FERRY_MSG_EOR). */
FERRY_API int64_t ferry_send(int sid, const void* data, size_t size, uint32_t flags);
FERRY_API int64_t ferry_recv(int sid, void* buffer, size_t size, uint32_t flags);
FERRY_API int64_t ferry_recvmsg(int sid, void* buffer, size_t size, uint32_t flags,
                                struct ferry_message_info* info_or_null);
/* How many are ready; 0 if none is within `timeout_ms` (negative: for ever). */
FERRY_API int ferry_poll(struct ferry_pollfd* sockets, size_t count, int timeout_ms);

/* Knowing */
FERRY_API int ferry_getpeername(int sid, struct ferry_address* address);
FERRY_API int ferry_getsockname(int sid, struct ferry_address* address);
FERRY_API int ferry_state(int sid);
FERRY_API const char* ferry_state_name(int state);
/* By number: an int or an int64_t, or characters; `*size` comes back as what was written. */
FERRY_API int ferry_setsockopt(int sid, int level, int option, const void* value, size_t size);
FERRY_API int ferry_getsockopt(int sid, int level, int option, void* value, size_t* size);
/* By name: every option there is. `ferry_getopt` gives the length of the text without its zero byte. */
FERRY_API int ferry_setopt(int sid, const char* name, const char* value);
FERRY_API int ferry_getopt(int sid, const char* name, char* value, size_t size);

/* All sockets of the process */
FERRY_API int ferry_list(struct ferry_socket_info* sockets,
                         size_t count);                       /* how many there are, maybe more than count */
FERRY_API int ferry_stat(int sid, struct ferry_stats* stats); /* 0: of all of them */
FERRY_API int ferry_close_all(void);                          /* how many there were */
FERRY_API int ferry_run_in_background(void);
/* Before the first socket: "pool_bytes" (limit on all buffers), "max_sockets". */
FERRY_API int ferry_configure(const char* name, uint64_t value);
/* Before the first socket, too: who takes lines of the log up to `level`; null: nobody. Called from inside of calls and
 * by ferry_run_in_background(), on any thread; it must call nothing of these. Texts are valid until it returns. */
/* NOLINTNEXTLINE(modernize-use-using): C has no other */
typedef void (*ferry_log_line)(void* user, int level, const char* component, const char* text);
FERRY_API int ferry_log(ferry_log_line line_or_null, void* user, int level);

/* Errors, of the thread's last call that failed */
FERRY_API int* ferry_errno_location(void);
#define ferry_errno (*ferry_errno_location())
FERRY_API int ferry_system_errno(void);       /* of the system call that failed, or 0 */
FERRY_API const char* ferry_error_text(void); /* one line: what happened, with which value; valid until the next call */
FERRY_API const char* ferry_strerror(int error);
FERRY_API const char* ferry_errname(int error); /* "ENET" */
FERRY_API int ferry_close_code(int error);      /* of WebSocket; 0 if there is none */

#ifdef __cplusplus
}
#endif

#endif
