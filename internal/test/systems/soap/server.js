// A SOAP service made of items.wsdl by the npm package soap: items in memory, and a back door for what tests do there without SOAP.
const soap = require('soap'), http = require('node:http'), fs = require('node:fs')

const password = 'pass-word-of-tests', port = Number(process.env.PORT)
let items = new Map(), last = 0, clock = 0

const now = () => new Date(Math.max(Date.now(), ++clock)).toISOString()
const text = v => (v && typeof v === 'object' && '$value' in v ? v.$value : v)
const refuse = (code, message, field, status = 500) => {
  throw {Fault: {faultcode: 'soap:Client', faultstring: message, detail: {ItemFault: {code, ...(field && {field})}}, statusCode: status}}
}
const own = ({id, changed, ...rest}) => rest
const ordered = () => [...items.values()].sort((a, b) => (a.changed ?? '').localeCompare(b.changed ?? '') || Number(a.id) - Number(b.id))

const service = {Items: {Items: {
  CreateItem({item}) {
    if (!item?.code) refuse('MISSING', 'an item needs a code', 'code')
    for (const it of items.values()) if (it.code === item.code || item.externalId && it.externalId === item.externalId) refuse('EXISTS', `an item ${item.code} is there already`)
    const it = {...own(item), id: String(++last), lock: '1', changed: now()}
    items.set(it.id, it)
    return {item: it}
  },
  UpdateItem({id, item}) {
    const it = items.get(id)
    if (!it) refuse('GONE', `there is no item ${id}`)
    const {lock, ...fields} = own(item ?? {})
    if (lock && lock !== it.lock) refuse('STALE', 'it was changed meanwhile')
    const next = {...it, ...fields, lock: String(Number(it.lock) + 1), changed: now()}
    items.set(id, next)
    return {item: next}
  },
  GetItem({id}) {
    const it = items.get(text(id))
    return it ? {item: it} : {}
  },
  DeleteItem({id}) {
    if (!items.delete(text(id))) refuse('GONE', `there is no item ${id}`)
    return {}
  },
  ListItems(q) {
    const found = ordered().filter(it => (!q?.since || it.changed && it.changed >= q.since) && (!q?.code || it.code === q.code) && (!q?.externalId || it.externalId === q.externalId))
    const size = Number(q?.size ?? 100), from = (Number(q?.page ?? 1) - 1) * size
    return {item: found.slice(from, from + size), last: from + size >= found.length}
  }
}}}

const server = http.createServer((request, response) => {
  let body = ''
  request.on('data', d => { body += d }).on('end', () => {
    const door = request.url.split('/')[2]
    if (!request.url.startsWith('/back-door/')) { response.writeHead(404); return response.end('nothing is here') }
    if (door === 'clear') { items = new Map(); last = 0 } else { const it = JSON.parse(body); items.set(it.id, it) }
    response.writeHead(204); response.end()
  })
})
server.listen(port, '127.0.0.1', () => {
  const s = soap.listen(server, {path: '/items', services: service, xml: fs.readFileSync('items.wsdl', 'utf8')})
  s.authenticate = security => {
    const token = security?.UsernameToken
    return text(token?.Username) === 'hub' && text(token?.Password) === password
  }
  console.log('ready for tests')
})
