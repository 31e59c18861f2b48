// Compiles programs for the types test, all in one process: a JSON list of {folder, files, options}
// in, the compiler's errors about each program out. The libraries are parsed once for all of them,
// and of the files in node_modules only this package's own are checked: those are what the test is
// about, and the compiler's own library takes longer than all the rest.
import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import ts from 'typescript'

const parsed = new Map()

/** A host that keeps what it has parsed; a file is parsed anew where it means another module kind. */
function keeping(options, folder) {
  const host = ts.createCompilerHost(options)
  const {getSourceFile} = host
  host.getCurrentDirectory = () => folder
  host.getSourceFile = (file, how, ...rest) => {
    if (!/node_modules/.test(file)) return getSourceFile(file, how, ...rest)
    const key = `${file} ${how.impliedNodeFormat} ${how.setExternalModuleIndicator}`
    if (!parsed.has(key)) parsed.set(key, getSourceFile(file, how, ...rest))
    return parsed.get(key)
  }
  return host
}

function complaints({folder, files, options: given}) {
  const {options, errors} = ts.convertCompilerOptionsFromJson(given, folder)
  options.configFilePath = join(folder, 'tsconfig.json')
  const host = keeping(options, folder)
  const program = ts.createProgram(
    files.map((file) => join(folder, file)),
    options,
    host
  )
  const own = program
    .getSourceFiles()
    .filter(({fileName}) => !/node_modules\/(?!tidegate\/)/.test(fileName))
  const found = [
    ...errors,
    ...program.getOptionsDiagnostics(),
    ...program.getGlobalDiagnostics(),
    ...own.flatMap((file) => [
      ...program.getSyntacticDiagnostics(file),
      ...program.getSemanticDiagnostics(file)
    ])
  ]
  return ts.formatDiagnostics(found, host)
}

console.log(JSON.stringify(JSON.parse(readFileSync(0, 'utf8')).map(complaints)))
