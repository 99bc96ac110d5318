#include "apps/ferry/demo_page.hpp"

#include <string_view>

namespace ferry::app {
namespace {

constexpr std::string_view k_place = "WEBSOCKET";  // where the URL goes

// A packet is a message: 4 bytes of the virtual connection, 0 for commands, then what is said. Source: docs/gateway.md.
constexpr std::string_view k_page = R"html(<!doctype html>
<html lang="en">
<meta charset="utf-8">
<link rel="icon" href="data:,">
<title>ferry demo</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 46em; margin: 2em auto; padding: 0 1em }
  #said { border: 1px solid; padding: .5em 1em; min-height: 12em; white-space: pre-wrap; overflow-wrap: anywhere }
  input { width: 75%; font: inherit } button { font: inherit }
</style>
<h1>A page talks to a service in C++</h1>
<p>page &#8644; WebSocket &#8644; <code>ferry gateway</code> &#8644; shared memory &#8644; service.
Open it twice: what one says comes to all.</p>
<div id="said"></div>
<form><input id="text" autofocus autocomplete="off" maxlength="1000"> <button>Say</button></form>
<script type="module">
const [dial, accept, , refuse, close, ping] = [0, 1, 2, 3, 4, 5];
const socket = new WebSocket('WEBSOCKET');
socket.binaryType = 'arraybuffer';
let service = 0;  // the virtual connection

const show = (line) => { document.getElementById('said').textContent += line + '\n'; };
const packet = (connection, content) => {
  const made = new Uint8Array(4 + content.length);
  new DataView(made.buffer).setUint32(0, connection, true);
  made.set(content, 4);
  socket.send(made);
};
const command = (type, ...number) => {
  const made = new Uint8Array(1 + 4 * number.length);
  made[0] = type;
  number.forEach((one, at) => new DataView(made.buffer).setUint32(1 + 4 * at, one, true));
  packet(0, made);
};
const say = (text) => packet(service, new TextEncoder().encode(text));

const times = [];
let asked = 0;
const ask = () => { asked = performance.now(); say('echo ' + times.length); };
const heard = (text) => {
  if (text !== 'echo ' + times.length) return show(text);
  times.push(performance.now() - asked);
  if (times.length < 20) return ask();
  times.sort((a, b) => a - b);
  say(`is here: ${times.length} echoes, half of them within ${times[10].toFixed(2)} ms`);
};

socket.onopen = () => { command(dial, 1); setInterval(() => command(ping), 10000); };
socket.onclose = () => show('(the gateway is gone)');
socket.onmessage = ({ data }) => {
  const view = new DataView(data);
  if (view.getUint32(0, true) !== 0) return heard(new TextDecoder().decode(data.slice(4)));
  const type = view.getUint8(4);
  if (type === accept) { service = view.getUint32(5, true); ask(); }
  if (type === refuse) show('(the service is not there)');
  if (type === close) show('(the service has ended)');
};
document.forms[0].onsubmit = (event) => {
  const text = document.getElementById('text');
  if (service !== 0 && text.value !== '') say(text.value);
  text.value = '';
  event.preventDefault();
};
</script>
</html>
)html";

}  // namespace

std::string demo_page(const std::string& websocket) {
  std::string page(k_page);
  return page.replace(page.find(k_place), k_place.size(), websocket);
}

}  // namespace ferry::app
