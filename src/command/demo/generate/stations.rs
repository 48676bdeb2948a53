//! Extensions and caller names: departments and shops, among them names as hostile as real tables hold them.

/// The ring group, as FreePBX numbers them.
pub(super) const RING_GROUP: &str = "600";
/// The queue.
pub(super) const QUEUE: &str = "700";

/// An extension and the name on its telephone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Station {
    pub(super) extension: &'static str,
    pub(super) name: &'static str,
}

const fn station(extension: &'static str, name: &'static str) -> Station {
    Station { extension, name }
}

/// The office. Names come from a telephone's own menu as often as from an administrator, so they hold anything.
pub(super) const STATIONS: [Station; 20] = [
    station("1001", "Recepción"),
    station("1002", "Ventas 1"),
    station("1003", "Ventas 2"),
    station("1004", "Ventas 3"),
    station("1005", "Ventas (señal débil)"),
    station("1006", "Cobranzas"),
    station("1007", "Facturación"),
    station("1008", "Administración"),
    station("1009", "Compras"),
    station("1010", "Almacén"),
    station("1011", "Depósito \"Los Ñandúes\""),
    station("1012", "Servicio técnico"),
    station("1013", "Taller d'obra"),
    station("1014", "Logística"),
    station("1015", "Diseño"),
    station("1016", "Dirección"),
    station("7222", "Sala de reuniones"),
    station("7223", "Garita; portón"),
    station("7224", "Caja \u{1b}[31mroja"),
    station("7225", ""),
];

/// Extensions of the ring group, in the order they are dialled.
pub(super) const RING_GROUP_MEMBERS: [&str; 3] = ["1002", "1003", "1004"];
/// Extensions that answer the queue.
pub(super) const QUEUE_MEMBERS: [&str; 4] = ["1001", "1006", "1007", "1012"];

/// Names that come with calls from outside: whatever the caller's carrier sends.
pub(super) const CALLER_NAMES: [&str; 14] = [
    "",
    "",
    "CARACAS VE",
    "MOVIL",
    "Panadería «El Trigal»",
    "Ferretería d'Oro",
    "Clínica \"La Niña\"",
    "Café & Té, C.A.",
    "<script>alert(1)</script>",
    "=1+1",
    "Repuestos\\Usados",
    "\u{202e}ortsinimuS",
    "\u{1b}]0;llamada\u{7}Agencia",
    "Asociación de Copropietarios del Conjunto Residencial Altos de la Montaña Etapa II",
];
