#pragma once
/// A gateway inside a program of one's own: that of `ferry gateway`, its pages and its commands, to which the program
/// adds others. Source: docs/gateway.md.

#include <ferry/context.hpp>
#include <ferry/error.hpp>

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ferry {

/// What operators ask for by name.
struct gateway_command {
  using words = std::span<const std::string_view>;
  std::string name;       ///< one word or several: "lookup heap"
  std::string arguments;  ///< as they would be written; empty: it has none, and is not called with any
  std::string help;       ///< for a person, without a full stop
  /// @param arguments  the words behind the name @return lines for the log | why it was not done
  std::function<result<std::string>(words arguments)> run;
};

/// Runs on the context's io_context, and on threads of its own if `threads` asks for more than one. Its members are
/// called on the thread that turns that io_context. The context must outlive it. Movable.
class gateway_service {
 public:
  /// Names and values as in docs/gateway.md, in any spelling, later ones win: {"client-addr", ":5000"}. Those of the
  /// program are refused: pools (the context's is used), files of logs and process ids; `name` is what the files that
  /// commands write begin with, "/run/fastway", and without one they say so. Files of keys are read when these are
  /// given.
  using parameters = std::vector<std::pair<std::string, std::string>>;

  /// Listens for clients, servers and, with `admin-addr`, operators.
  /// @return unknown_option | bad_option | why it cannot listen
  [[nodiscard]] static result<gateway_service> open(context& where, const parameters& with);
  gateway_service(gateway_service&&) noexcept;
  gateway_service& operator=(gateway_service&&) noexcept;
  /// Closes everything at once.
  ~gateway_service();

  /// "tcp://0.0.0.0:40123", with the ports that were bound, in the order of `client-addr`.
  [[nodiscard]] std::vector<std::string> client_urls() const;
  [[nodiscard]] std::vector<std::string> server_urls() const;
  /// Of `admin-addr`; empty: there is none.
  [[nodiscard]] std::string admin_url() const;

  /// Beside "connections" and "lookup ...", which every gateway has, and in place of one that has the same name.
  void add_command(gateway_command one);
  /// Runs the command whose name `line` begins with, the longest one.
  /// @return what it answers | unknown_option: there is none; with the list | bad_option: arguments it does not have
  [[nodiscard]] result<std::string> run_command(std::string_view line) const;
  /// What operators are shown at /metrics, /connections or /healthz; of other paths, which there are.
  [[nodiscard]] std::string page(std::string_view path) const;

  /// From now on these hold, as SIGHUP brings them to `ferry gateway`: limits, times, keys and `when-full`; what is not
  /// among them has its default. Members stay, also above a limit. Thread safety: as the other members.
  /// @return names of what differs and waits for the next open(): addresses, buffers, streams, threads and the like
  /// | as of open(): nothing has changed
  [[nodiscard]] result<std::vector<std::string>> change(const parameters& with);

  /// Takes nobody new and refuses dials; when the last virtual connection has ended, or after `stop-within`, tells both
  /// ends of those that are left, closes all and calls `done`, from the event loop.
  void stop(std::function<void()> done);

 private:
  struct parts;
  explicit gateway_service(std::shared_ptr<parts> made) noexcept;
  std::shared_ptr<parts> parts_;
};

}  // namespace ferry
