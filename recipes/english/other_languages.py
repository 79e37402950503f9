"""Sentences of languages that ``english`` does not read; German, French and others are for
setting what is doubted, Japanese and those of ``recipes/grid/other_speech.py`` for testing it."""

from __future__ import annotations

DEVELOPMENT: dict[str, tuple[str, ...]] = {
    "pt": (
        "Bom dia, como está o senhor hoje?",
        "O comboio para o Porto parte às oito da manhã.",
        "Queria reservar um quarto para duas noites.",
        "Ontem visitámos um castelo muito antigo.",
        "Na montanha faz muito frio no inverno.",
        "Pode dizer-me onde fica a estação?",
        "A minha irmã trabalha numa pequena livraria.",
        "As crianças brincam no jardim.",
    ),
    "ru": (
        "Доброе утро, как вы себя чувствуете сегодня?",
        "Поезд в Москву отправляется в восемь часов утра.",
        "Я хотел бы снять комнату на две ночи.",
        "Вчера мы осмотрели очень старый замок.",
        "Зимой в горах очень холодно.",
        "Скажите, пожалуйста, где находится вокзал?",
        "Моя сестра работает в маленьком книжном магазине.",
        "Дети играют в саду.",
    ),
    "tr": (
        "Günaydın, bugün nasılsınız?",
        "Ankara treni sabah saat sekizde kalkıyor.",
        "İki gece için bir oda ayırtmak istiyorum.",
        "Dün çok eski bir kaleyi gezdik.",
        "Kışın dağlarda hava çok soğuk olur.",
        "İstasyonun nerede olduğunu söyleyebilir misiniz?",
        "Kız kardeşim küçük bir kitapçıda çalışıyor.",
        "Çocuklar bahçede oynuyor.",
    ),
    "fi": (
        "Hyvää huomenta, mitä teille kuuluu tänään?",
        "Juna Turkuun lähtee kello kahdeksan aamulla.",
        "Haluaisin varata huoneen kahdeksi yöksi.",
        "Eilen kävimme hyvin vanhassa linnassa.",
        "Talvella vuorilla on hyvin kylmä.",
        "Voisitteko sanoa, missä asema on?",
        "Sisareni työskentelee pienessä kirjakaupassa.",
        "Lapset leikkivät puutarhassa.",
    ),
    "cmn": (
        "早上好,您今天怎么样?",
        "去上海的火车早上八点开。",
        "我想订一个房间住两个晚上。",
        "昨天我们参观了一座很古老的城堡。",
        "冬天山里非常冷。",
        "请问车站在哪里?",
        "我姐姐在一家小书店工作。",
        "孩子们在花园里玩。",
    ),
}

JAPANESE = (
    "おはようございます。今日のご気分はいかがですか。",
    "京都行きの電車は朝八時に出発します。",
    "二泊の予定で部屋を予約したいのですが。",
    "昨日はとても古いお城を見物しました。",
    "冬の山はとても寒いです。",
    "駅がどこにあるか教えていただけますか。",
    "姉は小さな本屋で働いています。",
    "子供たちは庭で遊んでいます。",
)
