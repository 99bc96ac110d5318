#pragma once
/// How a connection becomes the first or the next one of a resumable stream, either end, either form. Machines without
/// sockets: bytes in, bytes to send out. Source: docs/gateway.md.
///
///     client   asking --the server's answer--> done
///     server   opening --its key--> proving --MD5--> done          (older form: opening --> done)
///              opening --its id and proof--> proving --MD5--> done
///
/// The time that it may take is the caller's business.

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>

#include <memory>
#include <optional>

#include "session/snet_stream.hpp"

namespace ferry::session {

/// Outcome of on_bytes(); what it says to send goes first.
struct snet_step {
  std::size_t consumed = 0;   ///< bytes of the input; what follows them is shown again, or belongs to the stream
  codec::snet::message send;  ///< may be empty
  bool done = false;          ///< the stream goes on over this connection: what replay() has first
};

/// The client's side of one connection.
class snet_connecting {
 public:
  /// A new stream. @param private_key  from the system's generator
  snet_connecting(const snet_options& options, std::uint64_t private_key) noexcept
      : options_(options), private_key_(private_key) {}
  /// Another connection for `stream`, which must outlive this, and whose last connection is closed: nothing is read
  /// from it any more.
  snet_connecting(const snet_options& options, snet_stream& stream) noexcept
      : options_(options), stream_(&stream), counts_(stream.counts()) {}

  /// What to send first.
  [[nodiscard]] codec::snet::message begin() const noexcept;
  /// @return refused: the server does not know the stream any more | protocol | truncated: as of snet_stream::resume().
  /// After an error the stream is dead.
  [[nodiscard]] result<snet_step> on_bytes(bytes in);
  /// After `done`, of a new stream: it.
  [[nodiscard]] std::unique_ptr<snet_stream> take() noexcept { return std::move(made_); }
  /// After `done`, of another connection: what the peer has not got, as of now.
  [[nodiscard]] const snet_stream::replay& replay() const noexcept { return replay_; }

 private:
  snet_options options_;
  std::uint64_t private_key_ = 0;
  snet_stream* stream_ = nullptr;
  codec::snet::counts counts_;
  std::unique_ptr<snet_stream> made_;
  snet_stream::replay replay_;
};

/// The streams that a server keeps.
class snet_streams {
 public:
  /// @return null: there is none
  [[nodiscard]] virtual snet_stream* find(std::uint64_t id) = 0;
  /// Somebody who knows its key comes again for it. Its connection, if it seems to have one still, is to be closed now:
  /// from this call on nothing is received for it until the new one is there.
  virtual void come_again(snet_stream& stream) = 0;

 protected:
  ~snet_streams() = default;
};

/// The server's side of one connection.
class snet_accepting {
 public:
  /// From the system's generator. An id that is in use must not be given.
  struct chance {
    std::uint64_t private_key = 0;
    std::uint64_t id = 0;         ///< not 0
    std::uint64_t challenge = 0;  ///< not 0
  };
  snet_accepting(const snet_options& options, const chance& numbers, snet_streams& streams) noexcept
      : options_(options), chance_(numbers), streams_(streams) {}

  /// @return protocol, auth: a wrong proof; truncated. Then farewell() is sent, and the connection closed.
  [[nodiscard]] result<snet_step> on_bytes(bytes in);
  /// What tells a client that came again that it is refused; empty where closing tells it.
  [[nodiscard]] codec::snet::message farewell() const noexcept;

  /// After `done`: the stream, if it is new.
  [[nodiscard]] std::unique_ptr<snet_stream> take() noexcept { return std::move(made_); }
  /// After `done`: the stream's id, new or not.
  [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
  /// After `done`, of another connection: what the peer has not got, as of now.
  [[nodiscard]] const snet_stream::replay& replay() const noexcept { return replay_; }

 private:
  enum class state : std::uint8_t { opening, proving, done };
  result<snet_step> open(bytes in);
  result<snet_step> open_new(const codec::snet::opening& asked);
  result<snet_step> open_again(const codec::snet::opening& asked);
  result<snet_step> prove(bytes in);
  [[nodiscard]] snet_step answered(std::size_t consumed, const codec::snet::answer& what) noexcept;

  snet_options options_;
  chance chance_;
  snet_streams& streams_;
  state state_ = state::opening;
  bool again_ = false;
  std::uint64_t id_ = 0;
  codec::snet::counts peer_;
  codec::snet::counts told_;
  codec::snet::digest expected_{};
  std::unique_ptr<snet_stream> made_;
  snet_stream::replay replay_;
};

}  // namespace ferry::session
