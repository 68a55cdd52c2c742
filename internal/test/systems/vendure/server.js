// A small shop on Vendure for Waybill's tests: an external id at customers and products, an API key for the hub, and a webhook for orders on Vendure's event bus.
const {bootstrap, dummyPaymentHandler, DefaultJobQueuePlugin, EventBus, LanguageCode, OrderPlacedEvent, OrderService, PluginCommonModule, VendurePlugin, Logger, LogLevel, DefaultLogger} = require('@vendure/core')
const {populateInitialData} = require('@vendure/core/cli')
const {createHmac, randomUUID} = require('node:crypto')
const fs = require('node:fs')

const port = Number(process.env.PORT), database = new URL(process.env.WAYBILL_VENDURE_POSTGRES), credentials = {identifier: 'superadmin', password: 'pass-word-of-tests'}

// The webhook: where hook.json names an address and a secret, an order that was placed is posted there, signed.
class Webhook {
  constructor(bus, orders) { this.bus = bus; this.orders = orders }
  onApplicationBootstrap() {
    this.bus.ofType(OrderPlacedEvent).subscribe(async e => {
      if (!fs.existsSync('hook.json')) return
      const {url, secret} = JSON.parse(fs.readFileSync('hook.json', 'utf8'))
      const o = await this.orders.findOne(e.ctx, e.order.id, ['customer', 'lines', 'lines.productVariant'])
      const body = JSON.stringify({
        delivery: randomUUID(), type: 'order-placed', code: o.code, state: o.state, updatedAt: o.updatedAt, placedAt: o.orderPlacedAt, currency: o.currencyCode, totalWithTax: o.totalWithTax,
        customer: {id: String(o.customer.id), emailAddress: o.customer.emailAddress},
        lines: o.lines.map(l => ({sku: l.productVariant.sku, quantity: l.orderPlacedQuantity, unitPriceWithTax: l.unitPriceWithTax}))
      })
      try { // once: nobody hears what is told while the hub is away
        const answer = await fetch(url, {method: 'POST', body, headers: {'content-type': 'application/json', 'x-signature': createHmac('sha256', secret).update(body).digest('hex')}})
        Logger.info(`order ${o.code}: ${answer.status} ${await answer.text()}`, 'Webhook')
      } catch (e) { Logger.info(`order ${o.code}: ${e}`, 'Webhook') }
    })
  }
}
Reflect.defineMetadata('design:paramtypes', [EventBus, OrderService], Webhook)
VendurePlugin({imports: [PluginCommonModule]})(Webhook)

const external = {name: 'externalId', type: 'string', nullable: true, unique: true, public: false}
const config = {
  apiOptions: {port, hostname: '127.0.0.1', adminApiPath: 'admin-api', shopApiPath: 'shop-api'},
  authOptions: {tokenMethod: ['bearer', 'api-key'], superadminCredentials: credentials, cookieOptions: {secret: randomUUID()}, requireVerification: false},
  dbConnectionOptions: {
    type: 'postgres', host: database.hostname, port: Number(database.port), username: decodeURIComponent(database.username), password: decodeURIComponent(database.password),
    database: database.pathname.slice(1), schema: database.searchParams.get('search_path') ?? 'public', synchronize: true, logging: false
  },
  customFields: {Customer: [external], Product: [external]},
  paymentOptions: {paymentMethodHandlers: [dummyPaymentHandler]},
  plugins: [DefaultJobQueuePlugin, Webhook],
  logger: new DefaultLogger({level: LogLevel.Info, timestamp: false})
}

async function admin(query, headers = {}) {
  const answer = await fetch(`http://127.0.0.1:${port}/admin-api`, {method: 'POST', headers: {'content-type': 'application/json', ...headers}, body: JSON.stringify({query})})
  const body = await answer.json()
  if (body.errors) throw new Error(JSON.stringify(body.errors))
  return {data: body.data, token: answer.headers.get('vendure-auth-token')}
}

bootstrap(config).then(async app => {
  await populateInitialData(app, {
    defaultLanguage: LanguageCode.en, defaultZone: 'Europe', countries: [{name: 'Germany', code: 'DE', zone: 'Europe'}], taxRates: [{name: 'Standard', percentage: 19}],
    shippingMethods: [{name: 'Standard', price: 500}], paymentMethods: [{name: 'Dummy', handler: {code: dummyPaymentHandler.code, arguments: [{name: 'automaticSettle', value: 'true'}]}}],
    collections: []
  })
  const {token} = await admin(`mutation { login(username: "${credentials.identifier}", password: "${credentials.password}") { __typename } }`)
  const by = {authorization: `Bearer ${token}`}
  const {data} = await admin('{ roles(options: {filter: {code: {eq: "__super_admin_role__"}}}) { items { id } } }', by)
  const made = await admin(`mutation { createApiKey(input: {roleIds: ["${data.roles.items[0].id}"], translations: [{languageCode: en, name: "Waybill"}]}) { apiKey } }`, by)
  fs.writeFileSync('key', made.data.createApiKey.apiKey)
  console.log('ready for tests')
}).catch(e => { console.error(e); process.exit(1) })
