#include "gateway/doors.hpp"

#include <ferry/options.hpp>
#include <ferry/url.hpp>

#include <algorithm>
#include <utility>

#include "base/seldom.hpp"
#include "gateway/message_door.hpp"
#include "net/accept_loop.hpp"
#include "net/listening_sockets.hpp"
#include "net/transports.hpp"

namespace ferry::gateway {
namespace {

using session::gateway_role;

constexpr std::size_t k_message_queue = 256 * 1024;  // below a member's own queue, which has the limits

const char* name_of(gateway_role role) noexcept { return role == gateway_role::client ? "client-addr" : "server-addr"; }

}  // namespace

struct doors::door {
  door(doors& all, gateway_role role_)
      : role(role_),
        loop(all.where_.io(), {[&all, role_](std::shared_ptr<stream> who) { all.owner_.came(role_, std::move(who)); },
                               [&all, this](const error& why) { all.not_come(*this, why); }}) {}
  std::string url;
  gateway_role role;
  bool beside = false;  // another one has the same URL
  seldom not_come_line{std::chrono::seconds(1)};
  net::accept_loop loop;
};

doors::doors(context& where, door_owner& owner) : where_(where), owner_(owner) {}
doors::~doors() = default;

std::vector<std::string> words_of(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n";
  std::vector<std::string> made;
  for (;;) {
    const auto begin = text.find_first_not_of(blanks);
    if (begin == std::string_view::npos) return made;
    const auto end = std::min(text.size(), text.find_first_of(blanks, begin));
    made.emplace_back(text.substr(begin, end - begin));
    text.remove_prefix(end);
  }
}

result<options> options_of(const side_settings& side) {
  options with;
  for (const auto& word : words_of(side.options)) {
    const auto equals = std::min(word.size(), word.find('='));
    const auto value = equals == word.size() ? "on" : std::string_view(word).substr(equals + 1);
    if (const auto wrong = set_option(with, word.substr(0, equals), value))
      return error(wrong->unknown ? errc::unknown_option : errc::bad_option, wrong->text);
  }
  return with;
}

struct doors::place {
  endpoint at;
  options with;
  std::shared_ptr<stream_transport> transport;  // null: shm
  bool messages = false;
  bool network = false;  // it has a port
  bool tls = false;
  bool shared = false;  // each thread listens there
};

result<void> doors::open(gateway_role role, const side_settings& side, const settings& all, const doors* beside) {
  resumed_->histories.most = all.history_memory;
  const auto asked = words_of(side.url);
  const auto given = net::listening_sockets::of(where_.io());
  if (given) given->now_for(role == gateway_role::client ? "client" : "server");
  for (std::size_t i = 0; i < asked.size(); ++i) {
    auto at = find(where_, role, asked[i], side, all);
    if (!at) return at.error();
    if (beside != nullptr) {
      if (!at->shared) continue;
      at->at.port = beside->port_of(role, i);
    } else if (at->shared && !at->with.reuse_port && at->at.port != 0 && (!given || !given->has(at->at))) {
      // Others who listen there must be noticed, as where there is one thread: that port is theirs.
      const auto alone = listen(role, *at, side, all);
      if (!alone) return alone.error();
    }
    at->with.reuse_port = at->with.reuse_port || at->shared;
    if (auto added = add(role, *at, side, all); !added) return added;
    if (beside != nullptr || !given || !at->network) continue;
    // A gateway on more threads had sockets there, too: somebody may wait at each of them.
    at->at.port = port_of(role, i);
    while (given->waiting_at(at->at) > (at->shared ? all.threads - 1 : 0)) {
      if (auto added = add(role, *at, side, all); !added) return added;
      all_.back()->beside = true;
    }
  }
  return {};
}

result<void> doors::add(gateway_role role, const place& where, const side_settings& side, const settings& all) {
  auto made = listen(role, where, side, all);
  if (!made) return made.error();
  const auto& one = all_.emplace_back(std::make_unique<door>(*this, role));
  const auto waits = where.messages ? waiting_at::gate : waiting_at::socket;
  one->url = (*made)->local_url();
  one->loop.start(role == gateway_role::client ? check_clients(where_, std::move(*made), all.check, owner_, waits)
                                               : std::move(*made));
  return {};
}

result<void> doors::check(const context& where, gateway_role role, const side_settings& side, const settings& all) {
  for (const auto& url : words_of(side.url)) {
    const auto at = find(where, role, url, side, all);
    if (!at) return at.error();
    if (!at->tls) continue;
    if (const auto fine = net::check_tls_files(at->with); !fine) return fine.error().in(name_of(role));
  }
  return {};
}

result<doors::place> doors::find(const context& where, gateway_role role, const std::string& url,
                                 const side_settings& side, const settings& all) {
  auto with = options_of(side);
  if (!with) return with.error();
  if (side.resume.kind == resume_kind::token) with->tls_min = tls_version_kind::tls_1_3;
  auto at = parse_url(url, *with, where.schemes());
  if (!at) return at.error().in(name_of(role));
  with->reuse_port = with->reuse_port || all.reuse_port;
  place made;
  made.at = std::move(*at);
  made.with = std::move(*with);
  made.transport = where.transport(made.at.scheme);
  made.messages = !made.transport || made.transport->shape() == stream_shape::messages;
  const auto& scheme = made.at.scheme;
  made.tls = scheme == "tls" || scheme == "wss" || scheme == "wss+raw";
  made.network = made.tls || scheme == "tcp" || scheme == "ws" || scheme == "ws+raw";
  if (made.transport && made.transport->shape() == stream_shape::local)
    return error(errc::unsupported, url + ": nobody else reaches what is inside of this process").in(name_of(role));
  // A client that comes again must find its stream, so such streams have one thread.
  const bool resumes = !made.messages && side.resume.kind != resume_kind::off;
  made.shared = all.threads > 1 && !resumes && made.network;
  if (resumes && side.resume.kind == resume_kind::token &&
      (scheme != "tls" || made.with.tls_min != tls_version_kind::tls_1_3))
    return error(errc::unsupported, url + ": streams that a token resumes need tls:// and TLS 1.3").in(name_of(role));
  return made;
}

result<std::unique_ptr<acceptor>> doors::listen(gateway_role role, const place& where, const side_settings& side,
                                                const settings& all) {
  if (where.messages) {
    auto with = where.with;
    with.max_message = all.max_packet;
    with.send_queue_bytes = std::max<std::size_t>(k_message_queue, all.max_packet);
    with.max_connections = all.max_members;
    return listen_for_messages(where_, where.at, with, role == gateway_role::server);
  }
  auto made = where.transport->listen(where_, where.at, where.with);
  if (!made) return made.error();
  return accept_resumable(where_, std::move(*made), side.resume, resumed_);
}

std::uint16_t doors::port_of(gateway_role role, std::size_t index) const {
  options unused;
  const auto bound = parse_url(urls(role).at(index), unused, where_.schemes());
  return bound ? bound->port : 0;
}

void doors::close() noexcept {
  for (const auto& one : all_) one->loop.close();
}

std::vector<std::string> doors::urls(gateway_role role) const {
  std::vector<std::string> made;
  for (const auto& one : all_)
    if (one->role == role && !one->beside) made.push_back(one->url);
  return made;
}

// Anybody who gets to the socket can bring it about.
void doors::not_come(door& at, const error& why) {
  if (const auto others = at.not_come_line.tell(std::chrono::steady_clock::now()))
    owner_.not_come(at.url, why, *others);
}

}  // namespace ferry::gateway
