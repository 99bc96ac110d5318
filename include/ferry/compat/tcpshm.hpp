#pragma once
/// Connections that outlive their processes, in the shape that tcpshm's programs know: over TCP or through two rings in
/// shared memory, with what was not acknowledged in files. What is spoken is tcpshm's own protocol, or that of Ferry's
/// persistent sessions, whose channels are then on the other end as well. A client and a server, each polled by its
/// owner; what happens is told to virtual functions. Includes no Boost.
///
/// No thread and no clock: `now` comes from the caller, in any unit, and deadlines are in that unit. Which thread polls
/// what is the caller's choice: the CTL thread is the one that calls server::poll_ctl() (a client's: poll_tcp(), and
/// connect()), the polling thread of a connection the one that calls poll_tcp() or poll_shm() for its group. All of
/// them may be one. Guarantees, defaults and differences: docs/compat-tcpshm.md.

#include <ferry/bytes.hpp>
#include <ferry/errc.hpp>

#include <any>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <vector>

namespace ferry::compat::tcpshm {

// Options ---------------------------------------------------------------------------------------

enum class protocol : std::uint8_t {
  tcpshm,  ///< tcpshm's bytes and files: its programs are on the other end
  ferry,   ///< persistent sessions: whatever has `session=persistent` is on the other end. Source: docs/sessions.md
};

/// What is committed survives, with protocol::ferry.
enum class durability : std::uint8_t {
  process,  ///< the death of both processes, at any instruction
  disk,     ///< the death of the machine too. Each poll of the connection's group waits for the disk, if anything was
            ///< committed since the one before: for all of that at once. Nobody sees it before, and the messages popped
            ///< are not acknowledged. Logins wait for the disk too
};

/// Both sides need the same of those marked (*); nothing is negotiated. Times are in the unit of `now`.
struct options {
  protocol speaks = protocol::tcpshm;  ///< (*)

  std::size_t name_size = 16;                  ///< (*) of names, with the zero that ends them; 2 .. 64
  std::size_t shm_queue_bytes = 1u << 20;      ///< (*) each of the two rings; a power of two, 128 .. 2^30
  bool to_little_endian = true;                ///< (*) byte order over TCP
  std::size_t tcp_queue_bytes = 1u << 20;      ///< of the queue file; a multiple of 8 (on ARM64 of 16), at most 2^30
  std::size_t tcp_recv_initial = 64u << 10;    ///< of the receive buffer, per connection; a multiple of 8
  std::size_t tcp_recv_max = 128u << 10;       ///< a larger message ends its connection; a multiple of 8
  bool no_delay = true;                        ///< TCP_NODELAY
  std::int64_t connection_timeout = 10;        ///< nothing came for so long: the connection ends
  std::int64_t heartbeat_interval = 3;         ///< nothing was sent for so long: a heartbeat is
  std::size_t acknowledge_bytes = 256u << 10;  ///< so much was consumed and nothing sent: a heartbeat is; 0: never
  std::size_t login_data_bytes = 1;            ///< (*) user data in a login, sizeof of a C struct: 1 .. 1024
  std::size_t answer_data_bytes = 1;           ///< (*) the same in the answer
  std::size_t data_alignment = 1;              ///< (*) of both structs: 1, 2, 4 or 8
  std::string peer;                            ///< the name that the other side must have; empty: any

  // Of protocol::ferry, which uses none of name_size, shm_queue_bytes, to_little_endian, tcp_queue_bytes,
  // acknowledge_bytes, and of whose user data the sizes are the caller's.
  std::size_t ring_bytes = 1u << 20;  ///< of the file of what is sent; a power of two. One that exists keeps its size
  std::size_t max_message = 256u << 10;  ///< bytes of a body, both ways; to send it, a quarter of the ring at most
  durability durable = durability::process;
  std::string shm_endpoint;  ///< NAME of shm://NAME; empty: the digits of the port
  std::string runtime_dir;   ///< where the sockets of shm endpoints lie; empty: the system's place

  // Of servers.
  std::size_t max_new_connections = 64;  ///< that have not logged in; more wait in the listen queue
  std::size_t max_shm_conns_per_group = 256;
  std::size_t max_shm_groups = 1;  ///< at most 1024
  std::size_t max_tcp_conns_per_group = 256;
  std::size_t max_tcp_groups = 1;  ///< at most 1024
  std::size_t max_known = 4096;    ///< client names that the server has met and keeps a connection for; then refused
  std::int64_t new_connection_timeout = 3;

  /// What the original's documentation shows: small queues, few connections.
  [[nodiscard]] static options seed_defaults();
};

// Messages --------------------------------------------------------------------------------------

/// What stands before the body of a message that is being written; the body follows at once, aligned to 8.
struct message_header {
  std::uint16_t size;      ///< with these 8 bytes, 65535 if that is more; set by alloc()
  std::uint16_t msg_type;  ///< to be set; not 0, but with protocol::ferry, where 0 is what says nothing
  std::uint32_t ack_seq;   ///< not to be set

  /// With these 8 bytes, also if `size` cannot say it.
  [[nodiscard]] std::size_t whole_size() const noexcept { return ack_seq > size ? ack_seq : size; }

  [[nodiscard]] std::byte* body() noexcept { return reinterpret_cast<std::byte*>(this + 1); }
  template <class T>
  [[nodiscard]] T* body_as() noexcept {
    return reinterpret_cast<T*>(this + 1);
  }
};
static_assert(sizeof(message_header) == 8);

/// A message that was received, checked. In shared memory the body is where the peer wrote it.
struct message {
  std::uint32_t size = 0;      ///< with the header's 8 bytes
  std::uint16_t msg_type = 0;  ///< not 0, but with protocol::ferry: what a channel sent without a type
  bytes body;                  ///< aligned to 8
};

/// The numbers of both sides, which do not fit together: an ack does not lie within the other one's start .. end. Of
/// tcpshm's they have 32 bits.
struct sequence_mismatch {
  std::uint64_t local_ack_seq, local_seq_start, local_seq_end;
  std::uint64_t remote_ack_seq, remote_seq_start, remote_seq_end;
};

struct login_request {
  std::string address;      ///< "127.0.0.1:4711"; of protocol::ferry in shared memory "pid 4711 uid 1000"
  std::string client_name;  ///< letters, digits, '.', '-', '_'
  bool use_shm = false;
  std::vector<std::byte> user_data;  ///< login_data_bytes of them; protocol::ferry: as many as were said, at most 63
};

struct login_answer {
  std::string server_name;
  /// answer_data_bytes, zeros but for what the server sets. protocol::ferry: empty until the server makes it as large
  /// as it likes, at most 63 bytes.
  std::vector<std::byte> user_data;
  std::string error_text;  ///< why it was refused; at most 31 bytes travel, of protocol::ferry 63
};

// Connections -----------------------------------------------------------------------------------

class link;

/// One client and one server. A reference stays valid until its server or client stops, also while the peer is away:
/// what is pushed meanwhile goes out after the next login.
///
/// With protocol::ferry everything between two commits is one transaction: pop(), push_more() and push() in any order
/// and number. push() commits it; so does the end of a callback that was given a message, and the next poll of the
/// connection's group. After a death either all of it has happened or nothing: to pop a message and push its answer is
/// one step.
/// Thread safety: its polling thread only, but for the names (a client's: not during a login).
class connection {
 public:
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;
  ~connection();

  /// Room for a message of `size` bytes of body. Its msg_type and body are to be written, then push() or push_more();
  /// another alloc() forgets it. @return null: no room, the size is above 65527 (protocol::ferry: max_message of
  /// either side, or a quarter of the ring), no login has begun yet, or the disk has failed and no login has come since
  [[nodiscard]] message_header* alloc(std::size_t size) noexcept;
  /// Submits the message of the last alloc(), and sends what waits. Over TCP, and with protocol::ferry, it outlives
  /// this process from now on; with durability::disk, the machine from the next poll on.
  /// @return misuse: msg_type is 0, or there is nothing that alloc() gave (also when a new login has emptied the queue)
  /// | corrupt: the peer has damaged what it shares with us, and the connection ends
  [[nodiscard]] std::error_code push() noexcept;
  /// The same, but over TCP nothing is sent, and with protocol::ferry nothing has happened, before the next push() or
  /// poll.
  [[nodiscard]] std::error_code push_more() noexcept;

  /// The oldest message that was received; the same until pop(). Valid until pop() or the next poll.
  /// @return null: none, or not connected. Polling calls it for you.
  [[nodiscard]] const message* front() noexcept;
  /// Consumes what front(), or the poll, gave. To answer, pop() first and push() then: with protocol::ferry that is one
  /// step.
  void pop() noexcept;
  /// Ends the connection, not the object: the peer is told, and so is the CTL thread's callback at its next poll.
  void close() noexcept;
  [[nodiscard]] bool is_closed() const noexcept;

  [[nodiscard]] const std::string& local_name() const noexcept;
  /// Empty at a client that has never met a server.
  [[nodiscard]] const std::string& remote_name() const noexcept;
  [[nodiscard]] bool uses_shm() const noexcept;

  /// How far both directions have come, kept across the death of the process: `popped` changes with each pop(),
  /// `pushed` with each push. Over TCP they are sequence numbers, in shared memory counts of blocks, of 32 bits. An
  /// application that notes both, with what it is about to do, before it pops and pushes, finds out after a crash how
  /// far it came. With protocol::ferry both count messages since the session began, and after a crash say what was
  /// committed.
  struct progress {
    std::uint64_t popped = 0, pushed = 0;
    friend bool operator==(const progress&, const progress&) = default;
  };
  [[nodiscard]] progress where() const noexcept;
  /// Of what was pushed, as it lies in the queue file or the ring: what the peer is not known to have consumed. 0
  /// before a login has opened them.
  [[nodiscard]] std::size_t unacknowledged_bytes() const noexcept;
  /// Messages that were queued and thrown away, as the peer began anew; counted since the object was made. Not those
  /// that a client had in shared memory with protocol::tcpshm: the server empties both rings before it answers.
  [[nodiscard]] std::uint64_t discarded() const noexcept;

  std::any user_data;  ///< the application's; see which thread uses it

 private:
  friend class client;
  friend class server;
  friend class carrier;  // of channels with compat=tcpshm
  explicit connection(std::unique_ptr<link> made) noexcept;
  std::unique_ptr<link> link_;
};

// Client ----------------------------------------------------------------------------------------

class client {
 public:
  /// Does nothing yet. @param directory  for queue files and the last server's name; made if it is missing (0700)
  /// Throws ferry::failure: bad_option (also a name that is empty, too long, or has other characters than letters,
  /// digits,
  /// '.', '-', '_') | bad_address (no directory).
  client(std::string directory, std::string name, const options& with = {});
  /// stop(), without callbacks.
  virtual ~client();
  client(const client&) = delete;
  client& operator=(const client&) = delete;

  /// Connects and logs in; blocks for `within` at most (a host name is looked up before, which may take longer).
  /// Nothing else of this client may be used meanwhile, by any thread.
  /// @return true: after on_login_success(); else false, after one of the other callbacks
  [[nodiscard]] bool connect(bool use_shm, const std::string& host, std::uint16_t port, bytes login_user_data = {},
                             std::chrono::milliseconds within = std::chrono::seconds(10));
  /// The same without blocking: poll_tcp(), and in shared memory poll_shm() too, go on with it, and its callbacks come
  /// from there. It fails after connection_timeout. With another use_shm than before no other thread polls meanwhile.
  /// @param host  an address in digits; a name is looked up here, which may block. In shared memory with
  /// protocol::ferry nobody asks for it
  /// @return false: failed already, after a callback; or misuse: it is connected
  [[nodiscard]] bool start_connect(bool use_shm, const std::string& host, std::uint16_t port,
                                   bytes login_user_data = {});
  /// The same in two steps, for who looks a name up elsewhere, as there is no thread in here. From this one on the
  /// queue of a name that has logged in before takes messages, with protocol::tcpshm over TCP; connection_timeout is
  /// for both.
  [[nodiscard]] bool begin_connect(bool use_shm, bytes login_user_data = {});
  /// The second one. @param addresses  in digits; tried one after the other
  /// @return false: failed already, after a callback; or misuse: no begin_connect() waits for addresses
  [[nodiscard]] bool connect_to(std::span<const std::string> addresses, std::uint16_t port);
  /// A start_connect() that has not ended yet.
  [[nodiscard]] bool connecting() const noexcept;

  /// Valid until this client is destroyed. Takes messages from the first login on; over TCP, of a name that has logged
  /// in before, from the first connect() on, also if it fails.
  [[nodiscard]] connection& get_connection() noexcept;

  /// To be called often, in shared memory too, where it keeps the connection alive.
  void poll_tcp(std::int64_t now);
  /// To be called often if use_shm.
  void poll_shm();
  /// Ends the connection, or the login that is under way, without callbacks; the queue takes messages as before.
  void disconnect() noexcept;

  /// For event loops: readable when a poll may find something, but for what lies in shared memory, whose peers ring no
  /// bell, and for timeouts. To be asked for before connecting, and then one thread polls everything. Owned by this.
  /// @return -1: no descriptors are left
  [[nodiscard]] int descriptor() noexcept;
  /// Whether polls have received bytes since it was asked: poll again before waiting for descriptor().
  [[nodiscard]] bool take_heard() noexcept;

  /// Ends the connection and gives the files back. No callbacks, and no other thread polls. May connect again.
  void stop();

 protected:
  // Called within connect() or, after start_connect(), poll_tcp().
  virtual void on_system_error(const std::string& what, int system_errno) = 0;
  virtual void on_login_reject(const login_answer& answer) = 0;
  /// May disconnect(). @return now
  virtual std::int64_t on_login_success(const login_answer& answer) = 0;
  /// Nothing was changed, but that both sides keep the numbers beside their files, for who mends one of them: after
  /// stop(), with `ferry session` or <ferry/session_files.hpp>.
  virtual void on_seq_number_mismatch(const sequence_mismatch& numbers) = 0;
  /// Called by the polling thread. pop() takes the message; else it comes again with the next poll.
  virtual void on_server_msg(const message& m) = 0;
  /// Called within poll_tcp().
  virtual void on_disconnected(const std::string& reason, int system_errno) = 0;

 private:
  struct parts;
  std::unique_ptr<parts> parts_;
};

// Server ----------------------------------------------------------------------------------------

class server {
 public:
  /// As client's.
  server(std::string directory, std::string name, const options& with = {});
  /// stop(), without callbacks.
  virtual ~server();
  server(const server&) = delete;
  server& operator=(const server&) = delete;

  /// Listens. @param address  a name, of which the first address is taken that can be had, or one in digits; empty or
  /// "*": all interfaces, both families @param port  0: any, see port() @return false: after on_system_error()
  [[nodiscard]] bool start(const std::string& address, std::uint16_t port);
  [[nodiscard]] std::uint16_t port() const noexcept;
  /// Ends all connections, whose references are valid no more. No callbacks, and no other thread polls.
  void stop();

  /// Nobody new is accepted; connections go on.
  void stop_listening() noexcept;
  /// As client's; to be asked for before start().
  [[nodiscard]] int descriptor() noexcept;
  [[nodiscard]] bool take_heard() noexcept;

  // To be called often; each one by one thread, which may be the same for several.
  void poll_ctl(std::int64_t now);
  /// @param group  0 .. max_tcp_groups - 1; another one is ignored
  void poll_tcp(std::int64_t now, std::size_t group = 0);
  void poll_shm(std::size_t group = 0);

 protected:
  /// Called within start(), or by the CTL thread when connections cannot be accepted, or an answer has more user data
  /// than protocol::ferry has room for.
  virtual void on_system_error(const std::string& what, int system_errno) = 0;
  // Called by the CTL thread.

  /// Somebody logs in. @param answer  user_data may be set; error_text for a refusal
  /// @return the group of TCP or shared memory connections that it shall belong to; negative: refused. Even if it is
  /// accepted, something may go wrong: on_client_logon() tells when it has not
  virtual int on_new_connection(const login_request& login, login_answer& answer) = 0;
  virtual void on_client_file_error(connection& conn, const std::string& reason, int system_errno) = 0;
  virtual void on_seq_number_mismatch(connection& conn, const sequence_mismatch& numbers) = 0;
  /// Before its first message.
  virtual void on_client_logon(const std::string& address, connection& conn) = 0;
  virtual void on_client_disconnected(connection& conn, const std::string& reason, int system_errno) = 0;

  /// Called by the polling thread of the connection's group. As client::on_server_msg().
  virtual void on_client_msg(connection& conn, const message& m) = 0;

 private:
  struct parts;
  std::unique_ptr<parts> parts_;
};

}  // namespace ferry::compat::tcpshm
