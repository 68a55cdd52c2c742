// What SAP's gateway does and its OData runtime for Node does not: tokens against forged requests on V2, and numbers of documents given by the system.
// Beside that a back door for tests, which puts rows into the database as somebody without OData would, and empties it.
const cds = require('@sap/cds')
const { randomUUID } = require('node:crypto')

const COOKIE = 'SAP_SESSIONID_TST_100'
const tokens = new Map() // by session

function session(req) {
  for (const pair of (req.headers.cookie ?? '').split(';')) {
    const [name, value] = pair.trim().split('=')
    if (name === COOKIE) return value
  }
}

// The adapter for V2 runs this before it looks at a request.
function guard(req, res, next) {
  const id = session(req)
  if (req.method === 'GET' || req.method === 'HEAD') {
    if ((req.get('x-csrf-token') ?? '').toLowerCase() === 'fetch') {
      const own = tokens.has(id) ? id : randomUUID()
      if (!tokens.has(own)) tokens.set(own, randomUUID())
      res.set('x-csrf-token', tokens.get(own))
      res.append('set-cookie', `${COOKIE}=${own}; path=/; HttpOnly`)
    }
    return next()
  }
  if (id && tokens.has(id) && tokens.get(id) === req.get('x-csrf-token')) return next()
  res.set('x-csrf-token', 'Required').status(403).type('text/plain').send('CSRF token validation failed')
}

cds.on('bootstrap', app => {
  const listen = app.listen.bind(app)
  app.listen = port => listen(port, '127.0.0.1') // and nowhere else
  cds.cov2ap.before = guard
  app.post('/back-door/:what', require('express').json(), async (req, res) => {
    try {
      const { what } = req.params
      if (what === 'forget') {
        tokens.clear()
      } else if (what === 'spoil') { // a row whose amount is beyond every number
        await cds.db.run(`UPDATE trade_SalesOrder SET TotalNetAmount = 9e999 WHERE SalesOrder = ?`, [req.body.SalesOrder])
      } else if (what === 'clear') {
        for (const entity of ['Partner', 'Address', 'Product', 'ProductText', 'SalesOrder', 'SalesOrderItem', 'Delivery', 'DeliveryItem', 'Stock', 'Invoice', 'InvoiceItem'])
          await cds.db.run(DELETE.from(`trade.${entity}`))
      } else {
        await cds.db.run(UPSERT.into(`trade.${what}`).entries(req.body))
      }
      res.sendStatus(204)
    } catch (err) {
      res.status(500).send(String(err))
    }
  })
})

// Numbers are the system's to give; lines of a document are sent without them.
cds.on('served', services => {
  for (const [service, entity, key, items, first] of [
    ['API_BUSINESS_PARTNER', 'A_BusinessPartner', 'BusinessPartner', 'to_Address', 10100000], ['API_SALES_ORDER_SRV', 'A_SalesOrder', 'SalesOrder', 'to_Item', 0],
    ['API_OUTBOUND_DELIVERY_SRV', 'A_OutbDeliveryHeader', 'DeliveryDocument', 'to_DeliveryDocumentItem', 80000000], ['API_BILLING_DOCUMENT_SRV', 'A_BillingDocument', 'BillingDocument', 'to_Item', 90000000]
  ]) {
    let last = first
    services[service].before(['CREATE', 'NEW'], entity, req => {
      req.data[key] ??= String(++last)
      for (const item of req.data[items] ?? []) item[key] ??= req.data[key]
    })
  }
})

module.exports = cds.server
