// Parses interchanges with other people's parsers: node parse.js x12|edifact FILE…; a line of JSON for each: its segments without the envelope, each a list of
// its tag and data elements, those of EDIFACT lists of components. With TIMES=n the first file is parsed n times, and the megabytes a second are printed.
const fs = require('fs')
const path = require('path')
const { createRequire } = require('module')
const from = createRequire(path.join(process.env.EDI_ORACLES, 'package.json'))

const [standard, ...files] = process.argv.slice(2)

function x12(text) {
  const { X12Parser } = from('node-x12')
  const out = []
  for (const group of new X12Parser(true).parse(text).functionalGroups) {
    for (const t of group.transactions) {
      for (const s of t.segments) out.push([s.tag, ...s.elements.map(e => (typeof e === 'string' ? e : e.value))])
    }
  }
  return out
}

function edifact(text) {
  const Reader = from('edifact/reader.js')
  const out = []
  for (const s of new Reader().parse(text.replace(/\r?\n/g, ''))) {
    if (!/^UN[ABHTZ]$/.test(s.name)) out.push([s.name, ...s.elements])
  }
  return out
}

const parse = { x12, edifact }[standard]
const read = file => fs.readFileSync(file, 'latin1')
if (process.env.TIMES) {
  const text = read(files[0])
  parse(text)
  const begun = process.cpuUsage()
  for (let i = 0; i < +process.env.TIMES; i++) parse(text)
  const { user, system } = process.cpuUsage(begun)
  console.log((text.length * +process.env.TIMES) / (user + system))
} else {
  for (const file of files) console.log(JSON.stringify(parse(read(file))))
}
