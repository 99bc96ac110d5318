#pragma once
/// All streams of one entity: the service that carries them, and who is told what comes. Source: docs/sidecar.md.
///
/// A stream is a conversation of messages between two entities, each of which has a number for it:
///
///     open --> accept | refuse;  data, credit both ways;  end: nothing follows;  gone: nobody reads any more;
///     broken: something was lost, or dropped;  data without bytes, which is not counted: asks for a credit

#include <ferry/context.hpp>
#include <ferry/sidecar.hpp>
#include <ferry/stream.hpp>

#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace ferry::sidecar {

enum class stream_step : std::uint32_t { open = 1, accept, refuse, data, credit, end, gone, broken };

/// One message of a conversation. It counts for a stream only if entity and both numbers are its own.
struct stream_note {
  stream_step what = stream_step::open;
  std::uint32_t entity = 0;  ///< at the other end
  std::uint64_t ours = 0;    ///< number of the stream here; 0: none yet
  std::uint64_t theirs = 0;  ///< and there
  std::uint32_t count = 0;   ///< data, end, gone: data messages before; credit: bytes that were read
};

class service_stream;

/// Somebody who listens.
class stream_arrivals {
 public:
  /// @return false: there is no room for another one
  [[nodiscard]] virtual bool arrived(std::shared_ptr<service_stream> one) = 0;

 protected:
  ~stream_arrivals() = default;
};

/// Lives as long as a stream, a listener or an attempt does. Used on the context's thread.
class service_hub : public std::enable_shared_from_this<service_hub> {
 public:
  using connect_handler = stream_transport::connect_handler;
  static constexpr std::size_t k_most_waiting = 4096;  ///< notes that wait for room in the ring
  static constexpr std::size_t k_most_answers = 256;   ///< as many wait, and strangers get no answer any more

  service_hub(context& where, std::string directory);
  /// Takes a pipe. @return not_found: no sidecar has made this directory | busy: no pipe is free | ...
  [[nodiscard]] result<void> start();

  [[nodiscard]] context& where() const noexcept { return where_; }
  [[nodiscard]] const std::string& directory() const noexcept { return directory_; }
  [[nodiscard]] std::uint32_t entity() const noexcept { return entity_; }

  /// Asks another entity for a stream; `done` is called once, later, unless forget() comes before.
  void connect(std::uint32_t to, const std::shared_ptr<connect_handler>& done);
  void forget(const std::shared_ptr<connect_handler>& done) noexcept;
  /// @return address_in_use: somebody listens already
  [[nodiscard]] result<void> listen(stream_arrivals& at);
  void stop_listening(const stream_arrivals& at) noexcept {
    if (arrivals_ == &at) arrivals_ = nullptr;
  }

  /// @return full: later | ...
  [[nodiscard]] result<void> tell(const stream_note& note, bytes body = {});
  /// Of a stream that is there: in the end, where there is no room now. @return full: k_most_waiting notes wait
  /// already, and it is not told
  result<void> tell_surely(const stream_note& note);
  void remove(std::uint64_t stream) noexcept { streams_.erase(stream); }

 private:
  struct attempt {
    std::uint32_t to;
    std::shared_ptr<connect_handler> done;
    bool asked = false;
  };
  void ask(std::uint64_t number, attempt& one);
  void end_attempt(std::uint64_t number, result<std::shared_ptr<stream>> outcome);
  void fail_attempts(const error& why);
  void fail_all(const error& why);
  void heard(const service_message& what);
  void asked(const stream_note& note);
  void answer(const stream_note& note);
  void came_back(const stream_note& ours);
  void retry_later();
  [[nodiscard]] std::shared_ptr<service_stream> find(const stream_note& note) const;
  [[nodiscard]] std::shared_ptr<service_stream> add(std::uint32_t entity, std::uint64_t ours, std::uint64_t theirs);

  context& where_;
  std::string directory_;
  std::uint32_t entity_ = 0;
  service carrier_;
  std::uint64_t last_number_;  // begins anywhere: what another life of this entity left behind names no stream of ours
  std::map<std::uint64_t, std::weak_ptr<service_stream>> streams_;
  std::map<std::uint64_t, attempt> attempts_;
  std::map<std::uint32_t, std::uint64_t> last_asked_;  // by entity: the number of the last stream that it asked for
  stream_arrivals* arrivals_ = nullptr;                // null: nobody listens
  std::deque<stream_note> waiting_;                    // for room in the ring
  boost::asio::steady_timer retry_;
};

}  // namespace ferry::sidecar
